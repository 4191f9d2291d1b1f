/** A kernel that is killed while it exchanges its master key: every secret stays readable. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { until, type TestKernel } from "../support/kernel.ts";

const SECRETS = 250; // two pages of the rotation
const valueOf = (n: number): string => `value of secret ${n}`;
const keyOf = ({ dataDir }: TestKernel) =>
  readFileSync(join(dataDir, "vault", "master-key"), "utf8");

/** Resolves when the exchange has come so far; `before` is the key that is exchanged. */
type Reached = (kernel: TestKernel, before: string) => Promise<unknown>;

const newKeyIsThere: Reached = (kernel, before) =>
  until(() => keyOf(kernel) !== before, "the new key");

export const POINTS = {
  "as it begins": async () => {},
  "when the new key is in the file": newKeyIsThere,
  "a little later": async (kernel, before) => {
    await newKeyIsThere(kernel, before);
    await kernel.client.vaultStatus();
    await kernel.client.vaultStatus();
  },
} as const satisfies Record<string, Reached>;

async function allAreReadable({ client }: TestKernel): Promise<void> {
  const read = await Promise.all(
    Array.from({ length: SECRETS }, (_, n) => client.retrieveSecret({ name: `k${n}` })),
  );
  expect(read.map(({ value }) => value)).toEqual(
    Array.from({ length: SECRETS }, (_, n) => valueOf(n)),
  );
}

/** The kernel dies at each of the points in turn. */
export async function killWhileRotating(
  kernel: TestKernel,
  points: readonly (keyof typeof POINTS)[],
): Promise<void> {
  await Promise.all(
    Array.from({ length: SECRETS }, (_, n) =>
      kernel.client.storeSecret({ name: `k${n}`, value: valueOf(n) }),
    ),
  );
  for (const point of points) {
    const before = keyOf(kernel);
    const rotation = kernel.client.rotateMasterKey({}).then(
      () => "answered",
      () => "cut off",
    );
    await POINTS[point](kernel, before);
    await kernel.kill9();
    await rotation;
    await kernel.restart();
    await allAreReadable(kernel);
    const status = await until(async () => {
      const told = await kernel.client.vaultStatus();
      return told.rotating ? undefined : told;
    }, "the rotation to be resumed");
    expect({ point, ...status }).toMatchObject({ point, ok: true, damaged: [] });
    await allAreReadable(kernel);
  }
}
