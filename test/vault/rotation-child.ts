/**
 * The process that the rotation test kills. Usage: rotation-child.ts DIRECTORY
 * Stores and reads while it rotates the master key, again and again, and says what it stored.
 */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { systemClock } from "#base/clock.ts";
import { tenantId } from "#base/ids.ts";
import { openStorage } from "#storage/storage.ts";
import { masterKeyFrom, saveMasterKey } from "#vault/master-key.ts";
import { Vault } from "#vault/vault.ts";

const dataDir = process.argv[2]!;
const file = join(dataDir, "master-key");
const tenant = tenantId("alice");
const say = (line: string) => process.stdout.write(`${line}\n`);

const storage = await openStorage({ dataDir, clock: systemClock });
const { kv } = storage;
const master = await masterKeyFrom({
  file,
  vaultExists: await Vault.exists(kv),
  random: randomBytes,
});
const vault = await Vault.open({ kv, clock: systemClock, random: randomBytes, master });
const save = (key: Uint8Array | undefined) => saveMasterKey(file, key!);

if (vault.isRotating) await vault.resumeRotation({ save });
say("ready");

const write = async () => {
  for (let i = 0; ; i = (i + 1) % 30) {
    const value = `value of ${i} from ${process.pid}`;
    const { version } = await vault.store({ tenant, name: `k${i}`, value: Buffer.from(value) });
    say(`stored k${i} ${version} ${value}`);
    using secret = (await vault.retrieve({ tenant, name: `k${i}` })).secret;
    if (secret.text() !== value) say(`wrong k${i}`);
  }
};
const rotate = async () => {
  for (;;) {
    const next = { kind: "key", key: randomBytes(32) } as const;
    const { damaged } = await vault.rotateMasterKey({ next, save });
    say(damaged.length > 0 ? `damaged ${damaged.join()}` : "rotated");
  }
};
await Promise.all([write(), write(), rotate()]);
