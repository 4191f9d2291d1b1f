import { describe, expect, test } from "vitest";
import { findKernel } from "#client/find-kernel.ts";

const FILES: Readonly<Record<string, string>> = {
  "/data/kernel.json": '{"http":"http://127.0.0.1:1234","pid":1}',
  "/data/owner-token": "owner\n",
  "/elsewhere/token": " named \n",
};

const readFile = (path: string): Promise<string> => {
  const text = FILES[path];
  if (text !== undefined) return Promise.resolve(text);
  return Promise.reject(Object.assign(new Error("no"), { code: "ENOENT" }));
};
const find = (options: object = {}) =>
  findKernel({ dataDir: "/data", env: {}, readFile, ...options });

describe("the kernel", () => {
  test("is found through its data directory", async () => {
    expect(await find()).toEqual({ url: "http://127.0.0.1:1234", token: "owner" });
  });

  test("is where the environment says, and a named address goes before that", async () => {
    const env = { SOLO_URL: "http://127.0.0.1:9", SOLO_TOKEN: "mine" };
    expect(await find({ env })).toEqual({ url: "http://127.0.0.1:9", token: "mine" });
    const url = "http://127.0.0.1:7";
    expect(await find({ env, url })).toMatchObject({ url });
  });

  test("is not there when the data directory names none", async () => {
    await expect(find({ dataDir: "/empty" })).rejects.toMatchObject({ code: "kernel_unreachable" });
  });
});

describe("the owner's token", () => {
  test.each(["http://example.org", "https://10.0.0.1:8080", "http://127.0.0.1.evil.org"])(
    "is never sent to %s",
    async (url) => {
      expect(await find({ url })).toEqual({ url });
    },
  );

  test.each(["http://localhost:1", "http://127.9.9.9:1", "http://[::1]:1"])(
    "is sent to %s",
    async (url) => {
      expect(await find({ url })).toEqual({ url, token: "owner" });
    },
  );

  test("yields to a token file, which may go anywhere", async () => {
    const found = await find({ url: "https://example.org", tokenFile: "/elsewhere/token" });
    expect(found.token).toBe("named");
    await expect(find({ tokenFile: "/missing" })).rejects.toMatchObject({
      code: "invalid_argument",
    });
  });

  test("that may not be read is a clear refusal", async () => {
    const denied = () => Promise.reject(Object.assign(new Error("no"), { code: "EACCES" }));
    await expect(find({ readFile: denied })).rejects.toMatchObject({ code: "permission_denied" });
  });
});
