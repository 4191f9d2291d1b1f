import { describe, expect, test } from "vitest";
import { answerSubtle } from "#cell/prelude/subtle-host.ts";

const bytes = (...values: number[]): object => ({ $bytes: Buffer.from(values).toString("base64") });
const key = (change: object = {}): object => ({
  $key: {
    type: "secret",
    extractable: true,
    usages: ["encrypt"],
    algorithm: { name: "AES-GCM" },
    format: "raw",
    data: Buffer.alloc(16).toString("base64"),
    ...change,
  },
});
const nested = (depth: number): object => (depth === 0 ? {} : { inner: nested(depth - 1) });

describe("A hostile request for crypto.subtle is answered by a named error:", () => {
  test.each<[string, unknown, string]>([
    ["nothing", undefined, "TypeError"],
    ["no arguments", { operation: "digest" }, "TypeError"],
    ["an operation that is not one", { operation: "constructor", args: [] }, "TypeError"],
    ["an inherited name", { operation: "__proto__", args: [] }, "TypeError"],
    ["an unknown algorithm", { operation: "digest", args: ["NONE", bytes()] }, "NotSupportedError"],
    [
      "arguments nested without end",
      { operation: "digest", args: [nested(50), bytes()] },
      "TypeError",
    ],
    [
      "a key that is not one",
      { operation: "encrypt", args: [{ name: "AES-GCM", iv: bytes(1) }, { $key: {} }, bytes()] },
      "TypeError",
    ],
    [
      "a key of a strange format",
      { operation: "exportKey", args: ["raw", key({ format: "../etc" })] },
      "TypeError",
    ],
    [
      "a key said to be extractable as text",
      { operation: "exportKey", args: ["raw", key({ extractable: 0 })] },
      "InvalidAccessError",
    ],
    [
      "a key with the wrong usage",
      { operation: "sign", args: ["HMAC", key(), bytes()] },
      "InvalidAccessError",
    ],
    [
      "an RSA key that would take minutes",
      {
        operation: "generateKey",
        args: [
          {
            name: "RSA-PSS",
            modulusLength: 65_536,
            publicExponent: bytes(1, 0, 1),
            hash: "SHA-256",
          },
          true,
          ["sign"],
        ],
      },
      "OperationError",
    ],
    [
      "a derivation that would take minutes",
      {
        operation: "deriveBits",
        args: [
          { name: "PBKDF2", hash: "SHA-256", salt: bytes(), iterations: 1e9 },
          key({ algorithm: { name: "PBKDF2" }, usages: ["deriveBits"] }),
          128,
        ],
      },
      "OperationError",
    ],
  ])("%s", async (_title, request, name) => {
    expect(await answerSubtle(request)).toMatchObject({ error: { name } });
  });

  test("and a good one by its value", async () => {
    expect(await answerSubtle({ operation: "exportKey", args: ["raw", key()] })).toEqual({
      value: { $bytes: Buffer.alloc(16).toString("base64") },
    });
  });
});
