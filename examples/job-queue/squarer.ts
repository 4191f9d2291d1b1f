/** A worker of the job queue (see jobs.ts): four of them, each with one job at a time. */
import { defineService } from "solo";

export default defineService({
  casts: {
    async work(solo, id: number, n: number) {
      // The bug that the queue has to live with.
      if (n === 13) throw new Error(`job ${id} is too much for me`);
      await solo.sleep(5);
      await solo.services.cast("jobs", "done", id, n * n);
    },
  },
});
