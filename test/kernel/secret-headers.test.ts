import { describe, expect, test } from "vitest";
import type { SecretBinding } from "#deploy/secret-bindings.ts";
import { isAllowed } from "#kernel/services/host/secret-headers.ts";

const binding = (use: SecretBinding["use"], ...hosts: string[]): SecretBinding => ({
  name: "k",
  as: "k",
  use,
  hosts,
});
const goesTo = (each: SecretBinding, url: string) => isAllowed(each, new URL(url));

describe("a secret that is filled in goes", () => {
  test.each([
    ["api.example.com", "https://api.example.com/v1?x=1"],
    ["api.example.com", "https://API.example.com."],
    ["api.example.com", "https://api.example.com:443/"],
    ["*.example.com", "https://eu.api.example.com/"],
    ["api.example.com:8443", "https://api.example.com:8443/"],
    ["http://127.0.0.1:9000", "http://127.0.0.1:9000/"],
    ["http://api.example.com", "http://api.example.com/"],
  ])("with %s to %s", (host, url) => {
    expect(goesTo(binding("inject", host), url)).toBe(true);
    expect(goesTo(binding("read", host), url)).toBe(true);
  });

  test.each([
    ["api.example.com", "http://api.example.com/"],
    ["api.example.com", "https://api.example.com:8443/"],
    ["api.example.com", "https://example.com/"],
    ["api.example.com", "https://api.example.com.evil.net/"],
    ["api.example.com", "https://evil.net/?api.example.com"],
    ["*.example.com", "https://example.com/"],
    ["*.example.com", "https://notexample.com/"],
    ["*.example.com", "https://a.example.com:444/"],
    ["http://127.0.0.1:9000", "https://127.0.0.1:9000/"],
    ["http://127.0.0.1:9000", "http://127.0.0.1:9001/"],
    ["http://127.0.0.1:9000", "http://127.0.0.1/"],
  ])("with %s never to %s", (host, url) => {
    expect(goesTo(binding("inject", host), url)).toBe(false);
    expect(goesTo(binding("read", host), url)).toBe(false);
  });

  test("nowhere without hosts, unless the service may read it anyway", () => {
    expect(goesTo(binding("inject"), "https://api.example.com/")).toBe(false);
    expect(goesTo(binding("read"), "https://api.example.com/")).toBe(true);
  });
});
