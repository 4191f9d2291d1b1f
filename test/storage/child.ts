/** The process that storage tests kill. Usage: child.ts DIRECTORY hold|open|load|batches */
import { systemClock } from "#base/clock.ts";
import { SoloError } from "#base/errors.ts";
import { EventLog } from "#events/event-log.ts";
import { openStorage } from "#storage/storage.ts";

const [dataDir, mode] = process.argv.slice(2) as [string, string];

const say = (line: string) => process.stdout.write(`${line}\n`);

/** Batches that rewrite some keys and add others, again and again; and says what is on disk. */
async function batches(): Promise<void> {
  const storage = await openStorage({ dataDir, clock: systemClock });
  const [left] = await storage.kv.list("batch", { limit: 1, prefix: "left" });
  const begun = left === undefined ? 0 : Number(Buffer.from(left.value).toString());
  for (let at = begun + 1; ; at += 1) {
    const value = Buffer.from(String(at));
    await storage.kv.batch([
      { op: "put", ns: "batch", key: "left", value },
      { op: "put", ns: "batch", key: `n-${at}-first`, value: Buffer.alloc(20_000, at) },
      { op: "put", ns: "batch", key: `n-${at}-last`, value },
      { op: "delete", ns: "batch", key: `n-${at - 1}-last` },
      { op: "put", ns: "batch", key: "right", value },
    ]);
    say(String(at));
  }
}

async function load(): Promise<void> {
  const storage = await openStorage({ dataDir, clock: systemClock, eventsPerFile: 300 });
  const log = new EventLog({ clock: systemClock, bootId: `pid-${process.pid}` });
  log.attach(storage.events);
  const emitter = async (n: number) => {
    for (let i = 0; ; i++) {
      if (n % 3 === 0) {
        const key = `${process.pid}-${n}-${i}`;
        const [version] = await storage.kv.batch([
          { op: "put", ns: "load", key, value: Buffer.from(key) },
        ]);
        say(`kv ${key} ${version}`);
      } else {
        log.emit({ type: "service.filler" });
        const marker = `${process.pid}-${n}-${i}`;
        say(
          `event ${await log.append({ type: "service.load", subject: marker, payload: { marker } })} ${marker}`,
        );
      }
    }
  };
  await Promise.all(Array.from({ length: 12 }, (_, n) => emitter(n)));
}

try {
  if (mode === "load") await load();
  if (mode === "batches") await batches();
  const storage = await openStorage({ dataDir, clock: systemClock });
  say("open");
  if (mode === "open") await storage.close();
} catch (error) {
  say(error instanceof SoloError ? error.code : String(error));
}
