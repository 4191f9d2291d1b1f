/** Last stage of the pipeline (see ingest.ts): what is known of each sensor. */
import { defineService, ServiceError } from "solo";

interface Total {
  count: number;
  sum: number;
  least: number;
  most: number;
}

export default defineService<{ readonly sensors: Map<string, Total> }>({
  init: () => ({ sensors: new Map() }),
  calls: {
    add({ state }, measurements: { sensor: string; celsius: number }[]) {
      for (const { sensor, celsius } of measurements) {
        const total = state.sensors.get(sensor) ?? {
          count: 0,
          sum: 0,
          least: celsius,
          most: celsius,
        };
        total.count += 1;
        total.sum += celsius;
        total.least = Math.min(total.least, celsius);
        total.most = Math.max(total.most, celsius);
        state.sensors.set(sensor, total);
      }
    },
    summary({ state }, sensor: string) {
      const total = state.sensors.get(sensor);
      if (total === undefined)
        throw new ServiceError("unknown_sensor", `Nothing came from ${sensor}.`);
      const { count, least, most, sum } = total;
      return { count, least, most, mean: sum / count };
    },
  },
});
