/**
 * Loads the command with Node's compile cache, which must be on before the first TypeScript is
 * loaded: then nothing is stripped of its types again, and what strips is not even started.
 */
import { enableCompileCache } from "node:module";
import { fileURLToPath } from "node:url";

enableCompileCache(fileURLToPath(new URL("../node_modules/.cache/solo", import.meta.url)));
await import(new URL("../src/bin/solo.ts", import.meta.url).href);
