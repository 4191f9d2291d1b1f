/** Asks on a terminal for a line that is not shown. */
import type { ReadStream } from "node:tty";
import { SoloError } from "#base/errors.ts";

const ENTER = ["\r", "\n"];
const END = "\u0004"; // Ctrl-D
const INTERRUPT = "\u0003"; // Ctrl-C
const ERASE = ["\u007f", "\b"];
const MAX_CHARS = 64 * 1024;

export function askHidden(
  prompt: string,
  { input, output }: { readonly input: ReadStream; readonly output: NodeJS.WritableStream },
): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const typed: string[] = [];
  const done = (settle: () => void) => {
    input.off("data", onData);
    input.setRawMode(false);
    input.pause();
    output.write("\n");
    settle();
  };
  const onData = (text: string) => {
    for (const char of text) {
      if (ENTER.includes(char) || char === END) return done(() => resolve(typed.join("")));
      if (char === INTERRUPT)
        return done(() => reject(new SoloError("cancelled", "Nothing was entered.")));
      if (ERASE.includes(char)) typed.pop();
      else if (typed.length < MAX_CHARS) typed.push(char);
    }
  };
  output.write(prompt);
  input.setEncoding("utf8");
  input.setRawMode(true);
  input.on("data", onData);
  input.resume();
  return promise;
}
