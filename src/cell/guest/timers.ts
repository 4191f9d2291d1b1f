/** setTimeout and its kin: the host keeps the time, the guest keeps the function. */
import { OUT } from "./lines.ts";
import type { Outbox } from "./outbox.ts";

const MAX_TIMERS = 10_000;

export interface Timers {
  start(delayMs: number, repeat: boolean, run: () => void): number;
  stop(id: number): void;
  fire(id: number): void;
  readonly active: number;
}

export function createTimers(outbox: Outbox, thrown: (error: unknown) => void): Timers {
  const timers = new Map<number, { run: () => void; repeat: boolean }>();
  let last = 0;
  return {
    get active() {
      return timers.size;
    },
    start(delayMs, repeat, run) {
      if (timers.size >= MAX_TIMERS) {
        throw new DOMException(`${MAX_TIMERS} timers are set already.`, "QuotaExceededError");
      }
      const id = (last = (last % 0x7fff_fff0) + 1);
      if (!outbox.add(OUT.startTimer, id, `${delayMs} ${repeat ? 1 : 0}`)) {
        throw new DOMException("Too much was said in one turn.", "QuotaExceededError");
      }
      timers.set(id, { run, repeat });
      return id;
    },
    stop(id) {
      if (timers.delete(id)) outbox.add(OUT.stopTimer, id);
    },
    fire(id) {
      const timer = timers.get(id);
      if (timer === undefined) return;
      if (!timer.repeat) timers.delete(id);
      try {
        timer.run();
      } catch (error) {
        thrown(error);
      }
    },
  };
}
