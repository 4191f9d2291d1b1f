/** The documentation that comes with this package. */
import { readFile } from "node:fs/promises";
import type { ReadPage } from "#mcp/pages.ts";

const DOCS = new URL("../../docs/", import.meta.url);

export const readPage: ReadPage = (name) => readFile(new URL(`${name}.md`, DOCS), "utf8");
