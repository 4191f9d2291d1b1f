/** What became of the jobs (see jobs.ts). It sleeps while nothing happens; what comes wakes it. */
import { defineService } from "solo";

type Heard =
  | { readonly id: number; readonly state: "done" | "failed" }
  | { readonly kind: "down"; readonly service: string };

export default defineService({
  // Calls wait here; what they wait for has to come in meanwhile.
  concurrent: true,
  async init(solo) {
    await solo.subscribe("jobs");
    await solo.monitor("squarer");
    return { done: 0, failed: 0, crashes: 0 };
  },
  info({ state }, heard: Heard) {
    if ("kind" in heard) state.crashes += 1;
    else state[heard.state] += 1;
  },
  calls: {
    /** Answers once so many jobs are over. */
    async finished(solo, count: number) {
      while (solo.state.done + solo.state.failed < count) await solo.sleep(20);
      const { done, failed } = solo.state;
      return { done, failed };
    },
    /** Answers once workers have crashed so often. */
    async crashed(solo, count: number) {
      while (solo.state.crashes < count) await solo.sleep(20);
      return solo.state.crashes;
    },
  },
});
