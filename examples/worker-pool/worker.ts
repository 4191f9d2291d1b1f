/** One worker of the pool (see boss.ts): pure computation, one job at a time. */
import { defineService } from "solo";

export default defineService({
  calls: {
    /** How many primes there are up to `limit`; a limit that is no size crashes, as bugs do. */
    primes(_solo, limit: number) {
      if (limit < 0) throw new RangeError(`There are no numbers up to ${limit}.`);
      const composite = new Uint8Array(limit + 1);
      let count = 0;
      for (let n = 2; n <= limit; n += 1) {
        if (composite[n]) continue;
        count += 1;
        for (let multiple = n * n; multiple <= limit; multiple += n) composite[multiple] = 1;
      }
      return count;
    },
  },
});
