import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { answerSubtle } from "#cell/prelude/subtle-host.ts";
import { Guest, type Outcome } from "./guest.ts";
import { SNIPPETS } from "./snippets.ts";

const AsyncFunction = (async () => {}).constructor as new (body: string) => () => Promise<unknown>;

async function inNode(snippet: string): Promise<Outcome> {
  try {
    return JSON.parse(JSON.stringify({ value: await new AsyncFunction(snippet)() })) as Outcome;
  } catch (error) {
    return { error: (error as Error | undefined)?.name ?? String(error) };
  }
}

const withoutMessage = ({ value, error }: Outcome): Outcome =>
  error === undefined ? { value } : { error };

const engines = [
  ["an isolate, segments compiled beforehand", { engine: "isolate" }],
  ["an isolate, segments evaluated from text", { engine: "isolate", compiled: [] }],
  ["a node:vm context", { engine: "context" }],
] as const;

describe.each(engines)("The guest's globals in %s do what Node's do", (_name, options) => {
  let guest: Guest;
  beforeAll(async () => {
    guest = await Guest.open({
      ...options,
      answer: (method, args) => {
        if (method === "crypto.subtle") return answerSubtle(args);
        throw new Error("network is not granted");
      },
    });
  });
  afterAll(() => guest[Symbol.dispose]());

  for (const [topic, snippets] of Object.entries(SNIPPETS)) {
    describe(`${topic}:`, () => {
      test.each(snippets)("%s", async (snippet) => {
        const [theirs, ours] = [await inNode(snippet), await guest.run(snippet)];
        expect(withoutMessage(ours), ours.message).toEqual(withoutMessage(theirs));
      });
    });
  }
});
