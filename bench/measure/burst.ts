/** Fifty agents deploy at the same moment: how late is the kernel's event loop meanwhile? */
import { startKernel } from "../kernel.ts";
import { RestClient } from "../load/rest-client.ts";
import { atMost, type Row } from "../report.ts";
import type { Scale } from "../scale.ts";
import { unseenSource } from "../source.ts";
import { summarize } from "../stats.ts";

const AT_ONCE = 50;
const REST_MS = 500;

export async function run({ quick, profileDir }: Scale): Promise<Row[]> {
  const rounds = quick ? 3 : 8;
  await using kernel = await startKernel({ profileDir });
  const clients = await Promise.all(
    Array.from({ length: AT_ONCE }, () =>
      RestClient.open({ at: kernel.http, token: kernel.token }),
    ),
  );
  const lateness: number[] = [];
  const deploys: number[] = [];
  try {
    // The first round warms the kernel and is not counted.
    for (let round = 0; round <= rounds; round += 1) {
      const sources = clients.map((_, i) => unseenSource(`burst-${process.pid}-${round}-${i}`));
      await new Promise((resolve) => setTimeout(resolve, REST_MS));
      await kernel.watchLoop();
      const samples = await Promise.all(
        clients.map(async (client, i) => {
          const { source, args, expected } = sources[i]!;
          const begun = performance.now();
          await client.deploy(`s-${round}-${i}`, { code: source });
          if ((await client.call(`s-${round}-${i}`, "quote", args)) !== expected)
            throw new Error("wrong answer");
          return performance.now() - begun;
        }),
      );
      const late = await kernel.loopLateness();
      if (round === 0) continue;
      deploys.push(...samples);
      lateness.push(...late);
    }
  } finally {
    for (const client of clients) client[Symbol.dispose]();
  }
  return [
    {
      name: `event-loop delay, ${AT_ONCE} deploys at once`,
      ...summarize(lateness),
      targets: [atMost("p99", 10)],
      note: `${rounds} rounds; how late a 1 ms timer in the kernel was`,
    },
    { name: `deploy → first answer, ${AT_ONCE} at once`, ...summarize(deploys) },
  ];
}
