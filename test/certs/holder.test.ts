import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isName } from "#base/ids.ts";
import { holderOf, holderUri } from "#certs/holder.ts";

const named = (subjectAltName: string | undefined, ...commonNames: string[]) =>
  holderOf({ subjectAltName, commonNames });

describe("whom a certificate speaks for", () => {
  test("the URI goes before the common name, which is accepted alone", () => {
    const acme = { kind: "tenant", tenant: "acme" };
    expect(named("URI:solo://tenant/acme, DNS:other", "other")).toEqual(acme);
    expect(named(undefined, "acme")).toEqual(acme);
    expect(named("DNS:example.org", "acme")).toEqual(acme);
    expect(named("URI:spiffe://elsewhere/x", "acme")).toEqual(acme);
  });

  test("an operator is one by URI only", () => {
    expect(named("URI:solo://operator", "x")).toEqual({ kind: "operator" });
    expect(named(undefined, "operator")).toEqual({ kind: "tenant", tenant: "operator" });
  });

  test.each([
    ["URI:solo://tenant/a, URI:solo://tenant/b", ["a"]],
    ["URI:solo://tenant/a, URI:solo://operator", ["a"]],
    ["URI:solo://tenant/../b", ["a"]],
    ["URI:solo://tenant/", ["a"]],
    ["URI:SOLO://tenant/a", ["a"]],
    ["URI:solo://operator/", ["a"]],
    ["URI:solo://tenant/a%20b", ["a"]],
    ['URI:"solo://tenant/a, URI:solo://tenant/b"', ["a"]],
    [undefined, []],
    [undefined, ["a", "b"]],
    [undefined, ["not a name"]],
    [undefined, ["__proto__"]],
  ])("%s with the common names %j is nobody", (alternative, commonNames) => {
    expect(typeof holderOf({ subjectAltName: alternative, commonNames })).toBe("string");
  });

  test("what is written is read back, and no text gives a name that no tenant has", () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const read = named(`URI:${holderUri({ kind: "tenant", tenant: text })}`);
        if (isName(text)) expect(read).toEqual({ kind: "tenant", tenant: text });
        else expect(typeof read).toBe("string");
        const any = named(text, text);
        if (typeof any !== "string" && any.kind === "tenant") expect(isName(any.tenant)).toBe(true);
      }),
    );
  });
});
