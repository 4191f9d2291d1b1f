/** Says whether Node has a code cache here. */
import { writeSync } from "node:fs";
import { getCompileCacheDir } from "node:module";

const directory: string | undefined = getCompileCacheDir();
try {
  writeSync(3, directory === undefined ? "without a cache" : "from the cache");
} catch {
  // Nobody listens while the cache is filled.
}
