/** Loaded into the measured kernel: how late its event loop is, asked a thousand times a second,
 *  and what is left in its heap after a full collection. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

const PERIOD_MS = 1;

let lateness: number[] = [];
let watching: NodeJS.Timeout | undefined;

function watch(): void {
  clearTimeout(watching);
  lateness = [];
  let due = performance.now() + PERIOD_MS;
  const sample = () => {
    const now = performance.now();
    lateness.push(Math.max(0, now - due));
    due = now + PERIOD_MS;
    watching = setTimeout(sample, PERIOD_MS).unref();
  };
  watching = setTimeout(sample, PERIOD_MS).unref();
}

/** Bytes. */
function heapAfterCollection(): number {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  collect();
  collect();
  return process.memoryUsage().heapUsed;
}

process.on("message", (question) => {
  if (question === "watch") {
    watch();
    process.send?.([]);
  } else if (question === "read") {
    clearTimeout(watching);
    process.send?.(lateness);
  } else if (question === "heap") {
    process.send?.([heapAfterCollection()]);
  }
});
// The channel must not keep a kernel alive that wants to stop.
process.channel?.unref();
