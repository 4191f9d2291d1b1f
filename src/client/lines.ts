/** Text that arrives in pieces, as lines: ended by LF, CRLF or CR, none longer than its bound. */
import { SoloError } from "#base/errors.ts";
import { MAX_LINE_CHARS } from "#client/limits.ts";

export class LineSplitter {
  #rest = "";

  /** The lines that `text` completes. */
  push(text: string): string[] {
    const whole = this.#rest + text;
    // A CR at the very end may be half of a CRLF: it waits for what follows.
    const held = whole.endsWith("\r") ? "\r" : "";
    const lines = whole.slice(0, whole.length - held.length).split(/\r\n|\n|\r/);
    this.#rest = (lines.pop() ?? "") + held;
    if (this.#rest.length > MAX_LINE_CHARS) {
      throw new SoloError(
        "payload_too_large",
        `A line is longer than ${MAX_LINE_CHARS} characters.`,
      );
    }
    return lines;
  }

  /** What is left when the text ended without a last line end. */
  end(): string[] {
    const rest = this.#rest;
    this.#rest = "";
    return rest === "" ? [] : [rest.replace(/\r$/, "")];
  }
}
