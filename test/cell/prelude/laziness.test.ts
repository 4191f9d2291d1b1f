import { expect, describe, test } from "vitest";
import { GLOBALS, segmentsFor, webCanWait } from "#cell/prelude/segments.ts";
import { Guest } from "./guest.ts";

const all = Object.values(GLOBALS).flat();

describe("A global of the platform", () => {
  test("is there for `in`, and costs nothing until it is touched", async () => {
    using guest = await Guest.open();
    expect(
      guest.evaluate(
        `"Request" in globalThis && typeof Object.getOwnPropertyDescriptor(globalThis, "Request").get`,
      ),
    ).toBe("function");
  });

  test("is an ordinary property after its first touch", async () => {
    using guest = await Guest.open();
    for (const name of all) {
      const shape = guest.evaluate(`
        typeof globalThis.${name} + JSON.stringify({ ...Object.getOwnPropertyDescriptor(globalThis, "${name}"), value: 0 })`);
      expect(shape, name).toMatch(
        /^(function|object)\{"value":0,"writable":true,"enumerable":false,"configurable":true\}$/,
      );
    }
  });

  test("can be replaced before it was ever touched, and deleted", async () => {
    using guest = await Guest.open();
    guest.evaluate(`globalThis.fetch = "mine"; delete globalThis.Blob; undefined`);
    expect(guest.evaluate(`fetch + typeof Blob`)).toBe("mineundefined");
  });

  test("does not leave its makers' own globals behind", async () => {
    using guest = await Guest.open();
    const before = guest.evaluate(`Reflect.ownKeys(globalThis).map(String).sort().join()`);
    guest.evaluate(
      `for (const key of Reflect.ownKeys(globalThis)) void globalThis[key]; structuredClone({}); console.log({}); undefined`,
    );
    expect(guest.evaluate(`Reflect.ownKeys(globalThis).map(String).sort().join()`)).toBe(before);
  });
});

describe("The segments a source needs beforehand", () => {
  test.each([
    ["export default { calls: { get: (solo) => solo.state } }", []],
    ["export default { fetch: () => new Response('x') }", ["web"]],
    ["console.log(structuredClone({}))", ["compat", "inspect"]],
    ["const requestId = 1; const myURLs = []", []],
  ])("%s", (source, expected) => {
    expect(segmentsFor(source)).toEqual(expected);
  });
});

test.each([
  ["export default { fetch: () => new Response('x') }", true],
  [
    "export default { async fetch(request) { return Response.json(new URL(request.url).pathname) } }",
    true,
  ],
  ["export default { fetch: () => new Response(crypto.randomUUID()) }", false],
  ["export default { calls: { parse: (solo, text) => new URL(text).host } }", false],
])(
  "The web platform waits for the first request when only requests need it: %s",
  (source, waits) => {
    expect(webCanWait(source)).toBe(waits);
  },
);
