/** What to do about an exception (src/kernel/services/instance/advice.ts). */
import { expect, test } from "vitest";
import { adviceOn } from "#kernel/services/instance/advice.ts";

test("says what to use instead of what is not there", () => {
  expect(adviceOn("ReferenceError", "process is not defined")).toContain("solo.env");
  expect(adviceOn("ReferenceError", "solo is not defined")).toContain("first argument");
  expect(adviceOn("ReferenceError", "express is not defined")).toContain("imports express");
  expect(adviceOn("Error", "Not supported")).toContain("import at the top");
  expect(adviceOn("TypeError", "The default export is a function, not a service.")).toContain(
    "export default { calls",
  );
});

test("says nothing where the message says nothing", () => {
  for (const message of ["", "a bug", "the price is not defined yet"])
    expect(adviceOn("Error", message)).toBeUndefined();
});
