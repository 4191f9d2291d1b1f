import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { configurationPage, exampleFile } from "#config/document.ts";
import { KEYS } from "#config/keys.ts";
import { loadConfig } from "#config/load.ts";

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

test("the documentation and the example file say what the schema says: npm run docs:config", () => {
  expect(read("docs/configuration.md")).toBe(configurationPage());
  expect(read("config.example.toml")).toBe(exampleFile());
});

test("every setting is documented", () => {
  for (const key of KEYS) {
    expect(key.description, key.path).not.toBe("");
    expect(configurationPage()).toContain(`| \`${key.name}\` |`);
  }
});

test("the example file is a configuration, and means the defaults", () => {
  const options = { cwd: "/srv", env: {} };
  const example = loadConfig({ ...options, readFile: exampleFile });
  const plain = loadConfig({ ...options, readFile: () => "" });
  expect(example.config).toEqual(plain.config);
});
