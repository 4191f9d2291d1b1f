import { PassThrough } from "node:stream";
import type { ReadStream } from "node:tty";
import { expect, test } from "vitest";
import { askHidden } from "#bin/ask-hidden.ts";

/** A terminal as far as asking goes: keys in, what is shown out, and whether it echoes. */
function terminal() {
  const modes: boolean[] = [];
  const shown: string[] = [];
  const keys = new PassThrough();
  const input = Object.assign(keys, {
    setRawMode: (mode: boolean) => void modes.push(mode),
  }) as unknown as ReadStream;
  const output = new PassThrough();
  output.on("data", (chunk) => shown.push(String(chunk)));
  return { keys, modes, shown, ask: () => askHidden("Value: ", { input, output }) };
}

test("what is typed is taken until Enter, corrected by Backspace, and never shown", async () => {
  const { keys, modes, shown, ask } = terminal();
  const typed = ask();
  keys.write("sex");
  keys.write("\u007fcr\b\bcrét\r");
  expect(await typed).toBe("secrét");
  expect(shown.join("")).toBe("Value: \n");
  expect(modes).toEqual([true, false]);
});

test("Ctrl-C ends it without a value, and the terminal is as it was", async () => {
  const { keys, modes, ask } = terminal();
  const typed = ask();
  keys.write("half\u0003");
  await expect(typed).rejects.toMatchObject({ code: "cancelled" });
  expect(modes).toEqual([true, false]);
});
