import { describe, expect, test } from "vitest";
import { ERRORS } from "#base/errors.ts";
import { startGateway } from "../support/rest-harness.ts";

describe("the documents", () => {
  test("are served without a token", async () => {
    const { url } = await startGateway();
    const document = (await (await fetch(`${url}/openapi.json`)).json()) as {
      openapi: string;
      info: unknown;
    };
    expect(document.openapi).toBe("3.1.0");
    expect(document.info).toMatchObject({ version: "1.2.3" });
    expect(await (await fetch(`${url}/docs/json`)).json()).toEqual(document);
  });

  test("have a page that loads everything from Solo itself", async () => {
    const { url } = await startGateway();
    const page = await fetch(`${url}/docs`);
    expect(page.status).toBe(200);
    const policy = page.headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(page.headers.get("x-content-type-options")).toBe("nosniff");
    const html = await page.text();
    const links = [...html.matchAll(/(?:src|href)="([^"#]+)"/g)].map((match) => match[1] as string);
    expect(links.length).toBeGreaterThan(3);
    for (const link of links) {
      const target = new URL(link, `${url}/docs/`);
      expect(target.origin).toBe(url);
      const response = await fetch(target);
      await response.body?.cancel();
      expect([link, response.status]).toEqual([link, 200]);
    }
  });

  test("explain every code at the address that problems name", async () => {
    const { url } = await startGateway();
    const page = await (await fetch(`${url}/docs/errors`)).text();
    for (const code of Object.keys(ERRORS)) expect(page).toContain(`id="${code}"`);
  });
});
