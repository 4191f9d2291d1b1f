/** Server-sent events, as the HTML standard defines the stream; fed line by line. */

export interface SseFrame {
  /** The id that this very frame carried. */
  readonly id?: string;
  readonly event?: string;
  readonly data: string;
}

export class SseParser {
  #id: string | undefined;
  #event: string | undefined;
  #data: string[] = [];

  /** The frame that `line` completes, if it does. */
  push(line: string): SseFrame | undefined {
    if (line === "") return this.#complete();
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "data") this.#data.push(value);
    else if (name === "event") this.#event = value;
    else if (name === "id" && !value.includes("\0")) this.#id = value;
    return undefined;
  }

  #complete(): SseFrame | undefined {
    const [id, event, data] = [this.#id, this.#event, this.#data];
    this.#id = this.#event = undefined;
    this.#data = [];
    if (data.length === 0) return undefined;
    return {
      ...(id !== undefined && { id }),
      ...(event !== undefined && { event }),
      data: data.join("\n"),
    };
  }
}
