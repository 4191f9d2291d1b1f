/** Second stage of the pipeline (see ingest.ts): lines in, measurements out. */
import { defineService } from "solo";

const MEASUREMENT = /^([a-z]+),(-?\d+(?:\.\d+)?)$/;

export default defineService({
  calls: {
    /** Passes on what is a measurement; answers with how many that were. */
    async lines(solo, lines: string[]) {
      const measurements = lines.flatMap((line) => {
        const found = MEASUREMENT.exec(line.trim());
        return found === null ? [] : [{ sensor: found[1], celsius: Number(found[2]) }];
      });
      const dropped = lines.length - measurements.length;
      if (dropped > 0) solo.log.warn(`dropped ${dropped} of ${lines.length} lines`);
      await solo.services.call("totals", "add", measurements);
      return measurements.length;
    },
  },
});
