/** Colours, on terminals that want them. */
import { styleText } from "node:util";

export type Ink = "bold" | "dim" | "red" | "green" | "yellow" | "cyan";
export type Paint = (ink: Ink, text: string) => string;

export const plain: Paint = (_ink, text) => text;
export const coloured: Paint = (ink, text) => styleText(ink, text, { validateStream: false });
