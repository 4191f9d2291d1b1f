/** Calls in a known order, while a service is swapped again and again. */
import type { InProcessKernel } from "../support/kernel-in-process.ts";

const TENANT = "swap-load";
/** Calls that may be under way. */
const AT_ONCE = 32;

/** Counts what arrives out of order, in the state that every swap hands on. */
const code = (version: number) => `export default { version: "${version}",
  init: () => ({ last: 0, reordered: 0 }),
  codeChange: (old) => ({ ...old }),
  calls: {
    take(solo, n) {
      if (n !== solo.state.last + 1) solo.state.reordered += 1;
      solo.state.last = n;
      return ${version};
    },
    seen: (solo) => solo.state,
  },
  fetch: (request, solo) => new Response("${version}"),
};`;

export interface SwapLoad {
  readonly sent: number;
  readonly failed: number;
  readonly lost: number;
  readonly reordered: number;
  readonly requests: number;
  /** Of each swap, milliseconds. */
  readonly pauses: readonly number[];
}

export async function swapUnderLoad(
  solo: InProcessKernel,
  { swaps, service }: { swaps: number; service: string },
): Promise<SwapLoad> {
  const watchdog = { enabled: false };
  await solo.ask("Deploy", { service_id: service, code: code(0), watchdog }, TENANT);
  const over = new AbortController();
  let sent = 0;
  let failed = 0;
  let requests = 0;
  const open = new Set<Promise<void>>();
  const calls = async () => {
    while (!over.signal.aborted) {
      const one = solo.call(TENANT, service, "take", (sent += 1)).then(
        () => {},
        () => void (failed += 1),
      );
      open.add(one);
      void one.then(() => open.delete(one));
      if (open.size >= AT_ONCE) await Promise.race(open);
      else if (sent % 4 === 0) await new Promise((resolve) => void setImmediate(resolve));
    }
    await Promise.all(open);
  };
  const fetches = async () => {
    while (!over.signal.aborted) {
      const { status, body } = await solo.ingress(TENANT, service);
      for await (const _ of body ?? []);
      requests += 1;
      if (status !== 200) failed += 1;
    }
  };
  const load = Promise.all([calls(), fetches(), fetches()]);
  const pauses: number[] = [];
  try {
    for (let n = 1; n <= swaps; n += 1) {
      const { pause_ms } = await solo.ask("Update", { service_id: service, code: code(n) }, TENANT);
      pauses.push(pause_ms!);
    }
  } finally {
    over.abort();
    await load;
  }
  const seen = (await solo.call(TENANT, service, "seen")) as { last: number; reordered: number };
  return { sent, failed, requests, pauses, lost: sent - seen.last, reordered: seen.reordered };
}
