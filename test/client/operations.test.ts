import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { describeCatalogue } from "#client/describe.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** As the project's formatter would leave it, so that formatting the tree changes nothing. */
function formatted(text: string): string {
  const args = ["node_modules/oxfmt/bin/oxfmt", "--stdin-filepath", "src/client/operations.json"];
  return execFileSync(process.execPath, args, { cwd: ROOT, input: text, encoding: "utf8" });
}

// After a change of the catalogue: npx vitest run -u test/client/operations.test.ts
test("operations.json says what the catalogue says", async () => {
  const emitted = formatted(JSON.stringify(describeCatalogue(), null, 2));
  await expect(emitted).toMatchFileSnapshot(`${ROOT}src/client/operations.json`);
});
