/**
 * A job queue of three services: jobs → squarer ×4 → tally.
 *
 * `jobs` writes every job of a submission down before it answers, in one batch, and hands them to
 * the workers. A job whose worker crashed is handed out again by a timer, three times at most.
 * `tally` (see tally.ts) listens to the topic `jobs` and sleeps while nothing happens.
 *
 *     npx solo deploy examples/job-queue/jobs.ts --persistence durable
 *     npx solo deploy examples/job-queue/squarer.ts --instances 4 --routing least_busy
 *     npx solo deploy examples/job-queue/tally.ts --persistence hybrid --hibernate-after-ms 1000
 *     npx solo call jobs submit '[2,3,4,5]'    # → 4
 *     npx solo call tally finished 4           # → {"done":4,"failed":0}
 *     npx solo call jobs result 1              # → 4
 *     npx solo call jobs submit '[13]'         # → 1
 *     npx solo call tally finished 5           # → {"done":4,"failed":1}
 *     npx solo call tally crashed 3            # → 3
 *     npx solo call jobs result 5              # → error[service_error]: Job 5 is failed after 3 tries.
 */
import { defineService, ServiceError, type Solo } from "solo";

export interface Job {
  readonly n: number;
  readonly state: "queued" | "done" | "failed";
  readonly tries: number;
  readonly result?: number;
}

interface Queue {
  last: number;
  /** Jobs that are not over, and when they are handed out again. */
  open: Map<number, number>;
}

const TRIES = 3;
const RETRY_MS = 300;
const LOOK_MS = 100;

const key = (id: number) => `job:${id}`;

/** Counts the try before the worker has the job: one that kills its worker is not tried for ever. */
async function handOut(solo: Solo<Queue>, id: number): Promise<void> {
  const entry = await solo.kv.entry<Job>(key(id));
  if (entry === undefined || entry.value.state !== "queued") return void solo.state.open.delete(id);
  const isOver = entry.value.tries === TRIES;
  const job: Job = isOver
    ? { ...entry.value, state: "failed" }
    : { ...entry.value, tries: entry.value.tries + 1 };
  await solo.kv.batch([{ put: key(id), value: job, ifVersion: entry.version }]);
  if (isOver) {
    solo.state.open.delete(id);
    await solo.publish("jobs", { id, state: "failed" });
  } else {
    solo.state.open.set(id, Date.now() + RETRY_MS);
    await solo.services.cast("squarer", "work", id, job.n);
  }
}

export default defineService<Queue>({
  async init(solo) {
    await solo.every(LOOK_MS, { kind: "look" });
    return { last: 0, open: new Map() };
  },
  calls: {
    /** Answers with how many were accepted: they are on disk. */
    async submit(solo, numbers: number[]) {
      const jobs = numbers.map((n) => ({ n, id: (solo.state.last += 1) }));
      await solo.kv.batch(
        jobs.map(({ n, id }) => ({
          put: key(id),
          value: { n, state: "queued", tries: 0 },
          ifVersion: 0,
        })),
      );
      for (const { id } of jobs) await handOut(solo, id);
      return jobs.length;
    },
    async result(solo, id: number) {
      const job = await solo.kv.get<Job>(key(id));
      if (job === undefined) throw new ServiceError("no_such_job", `There is no job ${id}.`);
      if (job.state === "done") return job.result;
      throw new ServiceError(job.state, `Job ${id} is ${job.state} after ${job.tries} tries.`);
    },
  },
  casts: {
    async done(solo, id: number, result: number) {
      const entry = await solo.kv.entry<Job>(key(id));
      // A worker that was slow may answer twice; only the first counts.
      if (entry?.value.state !== "queued") return;
      const job: Job = { ...entry.value, state: "done", result };
      await solo.kv.batch([{ put: key(id), value: job, ifVersion: entry.version }]);
      solo.state.open.delete(id);
      await solo.publish("jobs", { id, state: "done" });
    },
  },
  /** The timer: whatever is late is handed out again. */
  async info(solo) {
    const late = [...solo.state.open].filter(([, at]) => at <= Date.now());
    for (const [id] of late) await handOut(solo, id);
  },
});
