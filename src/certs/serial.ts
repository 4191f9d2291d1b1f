/** A serial number in one form, whoever wrote it: lower-case hex digits without leading zeros. */
export const plainSerial = (hex: string): string => hex.toLowerCase().replace(/^0+/, "");
