/**
 * A worker pool: one boss hands jobs to whichever worker is free.
 *
 * The workers are services of their own: each does one job at a time, beside the others. One
 * that crashes is restarted by its supervisor while its job is tried on another.
 *
 *     npx solo deploy examples/worker-pool/worker.ts --id worker-1
 *     npx solo deploy examples/worker-pool/worker.ts --id worker-2
 *     npx solo deploy examples/worker-pool/boss.ts --arg '["worker-1", "worker-2"]'
 *     npx solo call boss primes 1000 2000 3000 # → [168,303,430]
 *     npx solo call boss primes 100 -1         # → [25,"failed after 2 attempts: service_crashed"]
 */
import { defineService, type Solo, type SoloRequestError } from "solo";

const ATTEMPTS = 2;

interface State {
  /** Names of workers that have nothing to do. */
  readonly free: string[];
  /** Jobs that wait for one. */
  readonly waiting: ((worker: string) => void)[];
}

const take = ({ free, waiting }: State): Promise<string> =>
  new Promise((resolve) => {
    const worker = free.shift();
    if (worker === undefined) waiting.push(resolve);
    else resolve(worker);
  });

function giveBack({ free, waiting }: State, worker: string): void {
  const next = waiting.shift();
  if (next === undefined) free.push(worker);
  else next(worker);
}

async function run(solo: Solo<State>, limit: number): Promise<number | string> {
  let code = "";
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const worker = await take(solo.state);
    try {
      return await solo.services.call<number>(worker, "primes", limit);
    } catch (error) {
      ({ code } = error as SoloRequestError);
      solo.log.warn(`${worker} failed at ${limit}: ${code}`);
    } finally {
      giveBack(solo.state, worker);
    }
  }
  return `failed after ${ATTEMPTS} attempts: ${code}`;
}

export default defineService<State>({
  // Calls interleave: while one waits for a worker, others are taken.
  concurrent: true,
  init: (_solo, workers: string[]) => ({ free: [...workers], waiting: [] }),
  calls: {
    primes: (solo, ...limits: number[]) => Promise.all(limits.map((limit) => run(solo, limit))),
  },
});
