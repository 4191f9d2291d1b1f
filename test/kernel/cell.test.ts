/** A process of services as the kernel holds it (src/kernel/cells/cell.ts). */
import { expect, test } from "vitest";
import { FROM_CELL } from "#wire/messages.ts";
import { playedCell } from "./support.ts";

const LONG = 100;

test("a cell is ended for its silence once it has spoken, and not while it is being made", async () => {
  const { cell, say } = playedCell();
  for (let check = 0; check < LONG; check += 1) cell.checkHeartbeat();
  expect(cell.isGone).toBe(false);
  say(FROM_CELL.ready, 0, 0);
  await cell.ready;
  for (let check = 0; check < LONG; check += 1) cell.checkHeartbeat();
  expect((await cell.gone).why).toBe("it stopped answering");
});

test("a cell that ends before it was ready is unavailable, and why is said", async () => {
  const { cell, die } = playedCell();
  die({ how: "exit code 7" });
  await expect(cell.ready).rejects.toMatchObject({
    code: "unavailable",
    message: expect.stringContaining("exit code 7") as string,
  });
});
