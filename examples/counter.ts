/**
 * The smallest useful service: state, calls, a cast, and HTTP.
 *
 *     npx solo deploy examples/counter.ts
 *     npx solo call counter increment          # → 1
 *     npx solo call counter increment 5        # → 6
 *     npx solo cast counter reset              # → accepted
 *     npx solo call counter get                # → 0
 */
import { defineService } from "solo";

export default defineService({
  version: "1",
  init: () => ({ count: 0 }),
  calls: {
    increment(solo, by: number = 1) {
      solo.state.count += by;
      return solo.state.count;
    },
    get: (solo) => solo.state.count,
  },
  casts: {
    reset(solo) {
      solo.state.count = 0;
    },
  },
  fetch: (_request, solo) => Response.json({ count: solo.state.count }),
});
