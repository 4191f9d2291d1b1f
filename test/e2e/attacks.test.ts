/** One attack of each family; the whole suite is `solo doctor --attack`, and in test/soak. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ATTACK_KINDS } from "#doctor/attack.ts";
import { ATTACKS } from "#doctor/attacks/index.ts";
import { Ground } from "#doctor/ground.ts";
import { groundOf, startAttacked } from "../support/attacked.ts";
import type { TestKernel } from "../support/kernel.ts";

let kernel: TestKernel;
let ground: Ground;
beforeAll(async () => {
  kernel = await startAttacked();
  ground = await Ground.open(groundOf(kernel));
});
afterAll(() => kernel[Symbol.asyncDispose]());

describe.for(ATTACK_KINDS)(
  "everybody else goes on, and the attacker ends as it should, beside a service (%s) that",
  (kind) => {
    test.for(ATTACKS.filter((each) => each.everyDay && each.kind === kind))(
      "$name",
      async (attack) => {
        expect(await ground.attack(attack)).toMatchObject({ problems: [] });
      },
    );
  },
);
