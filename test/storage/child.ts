/** The process that storage tests kill. Usage: child.ts DIRECTORY hold|open|load */
import { systemClock } from "#base/clock.ts";
import { SoloError } from "#base/errors.ts";
import { EventLog } from "#events/event-log.ts";
import { openStorage } from "#storage/storage.ts";

const [dataDir, mode] = process.argv.slice(2) as [string, string];

const say = (line: string) => process.stdout.write(`${line}\n`);

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
  const storage = await openStorage({ dataDir, clock: systemClock });
  say("open");
  if (mode === "open") await storage.close();
} catch (error) {
  say(error instanceof SoloError ? error.code : String(error));
}
