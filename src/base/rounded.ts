/** A number as events and answers have it: to the thousandth. */
export const rounded = (value: number): number => Math.round(value * 1000) / 1000;
