import { defineService } from "solo";

export default defineService({
  version: "1",
  init: () => ({ count: 0 }),
  calls: {
    increment(solo, by = 1) {
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
  async fetch(_request, solo) {
    return Response.json({ count: solo.state.count });
  },
});
