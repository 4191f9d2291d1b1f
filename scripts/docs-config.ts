/** Writes docs/configuration.md and config.example.toml: `npm run docs:config`. */
import { writeFileSync } from "node:fs";
import { configurationPage, exampleFile } from "#config/document.ts";

const root = new URL("../", import.meta.url);
writeFileSync(new URL("docs/configuration.md", root), configurationPage());
writeFileSync(new URL("config.example.toml", root), exampleFile());
