import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { contains, isResource, matches, parsePattern } from "#capability/resource.ts";

const pattern = (text: string) => parsePattern(text)!;

describe("the grammar of resources", () => {
  test("what the documentation lists is understood", () => {
    for (const text of [
      "*",
      "kernel",
      "events",
      "registry",
      "kv",
      "metrics",
      "capabilities",
      "service:counter",
      "service:count*",
      "service:*",
      "secret:api_key",
      "topic:orders/new",
      "topic:orders/*",
      "net:*",
      "net:api.example.com",
      "net:api.example.com:443",
      "net:*.example.com",
      "net:*.example.com:443",
      "net:10.0.0.1",
      "net:[::1]:8080",
    ]) {
      expect(parsePattern(text)?.text, text).toBe(text);
    }
  });

  test("anything else is no pattern", () => {
    for (const text of [
      "",
      "kernels",
      "kv:key",
      "service:",
      "service:a*b",
      "service:**",
      "service:../x",
      "file:x",
      "constructor:x",
      "net:",
      "net:API.example.com",
      "net:a*.example.com",
      "net:*.*.example.com",
      "net:*.4",
      "net:*.0.0.1",
      "net:host:0",
      "net:host:65536",
      "net:host:",
      "net:a..b",
      "net:evil.com/.example.com",
      "net:*example.com",
      `service:${"x".repeat(400)}`,
    ]) {
      expect(parsePattern(text), text).toBeUndefined();
    }
  });

  test("a star never reaches out of its own kind or domain", () => {
    const outside: [string, string][] = [
      ["service:*", "secret:x"],
      ["service:a*", "service:b"],
      ["net:*.example.com", "net:example.com"],
      ["net:*.example.com", "net:badexample.com"],
      ["net:*.example.com", "net:a.example.com.evil.org"],
      ["net:*.example.com", "net:evil.org/.example.com"],
      ["net:api.example.com:443", "net:api.example.com:80"],
      ["net:api.example.com:443", "net:api.example.com"],
      ["kv", "kernel"],
    ];
    for (const [text, resource] of outside) {
      expect(matches(pattern(text), resource), `${text} ${resource}`).toBe(false);
    }
    expect(matches(pattern("net:api.example.com"), "net:api.example.com:80")).toBe(true);
    expect(matches(pattern("net:*.example.com"), "net:a.b.example.com:443")).toBe(true);
  });

  const label = fc.constantFrom("a", "b", "ab", "a-b");
  const host = fc.array(label, { minLength: 1, maxLength: 3 }).map((labels) => labels.join("."));
  const port = fc.constantFrom("", ":80", ":443");
  const name = fc.constantFrom("a", "ab", "abc", "b", "ba");
  const resources = fc.oneof(
    fc.constantFrom("kernel", "kv", "events"),
    fc
      .tuple(fc.constantFrom("service", "secret", "topic"), name)
      .map(([kind, x]) => `${kind}:${x}`),
    fc.tuple(host, port).map(([h, p]) => `net:${h}${p}`),
  );
  const patterns = fc.oneof(
    resources,
    fc.constantFrom("*", "net:*", "service:*", "secret:*"),
    fc.tuple(fc.constantFrom("service", "topic"), name).map(([kind, x]) => `${kind}:${x}*`),
    fc.tuple(host, port).map(([h, p]) => `net:*.${h}${p}`),
  );

  test("what a pattern contains, it matches; and what it matches, it contains", () => {
    fc.assert(
      fc.property(patterns, patterns, resources, (outer, inner, resource) => {
        const [a, b] = [pattern(outer), pattern(inner)];
        expect(isResource(resource)).toBe(true);
        expect(matches(a, resource)).toBe(contains(a, pattern(resource)));
        if (contains(a, b) && matches(b, resource)) expect(matches(a, resource)).toBe(true);
        expect(contains(a, a)).toBe(true);
      }),
      { numRuns: 5_000 },
    );
  });
});
