import { expect, test } from "vitest";
import { wordsOf } from "../support/shell.ts";

test.each([
  ["npx solo call a b", ["call", "a", "b"]],
  [
    `npx solo call a b '{"n":1}' "two words" --x='y z'`,
    ["call", "a", "b", '{"n":1}', "two words", "--x=y z"],
  ],
  ["npx solo call a b ''", ["call", "a", "b", ""]],
])("what a shell only splits is split the same way: %s", (command, words) => {
  expect(wordsOf(command)).toEqual(words);
});

test.each([
  "curl localhost",
  "npx solo list | cat",
  "npx solo list > file",
  "npx solo list && npx solo list",
  'npx solo call a b "$HOME"',
  "npx solo call a b *.ts",
  "npx solo call a \\\n  b",
  "npx solo call a 'b",
])("everything else is left to a shell: %s", (command) => {
  expect(wordsOf(command)).toBeUndefined();
});
