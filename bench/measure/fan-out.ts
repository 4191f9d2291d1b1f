/** Events to many subscribers over REST (server-sent events). */
import { connect } from "node:net";
import { startKernel, type BenchKernel } from "../kernel.ts";
import { encode } from "../load/http-connection.ts";
import { RestClient } from "../load/rest-client.ts";
import type { Row } from "../report.ts";
import type { Scale } from "../scale.ts";
import { unseenSource } from "../source.ts";
import { summarize } from "../stats.ts";

const SUBSCRIBERS = 100;
const BURST = 500;

export async function run({ quick, profileDir }: Scale): Promise<Row[]> {
  const rounds = quick ? 50 : 200;
  const bursts = quick ? 2 : 8;
  await using kernel = await startKernel({ profileDir });
  using client = await RestClient.open({ at: kernel.http, token: kernel.token });
  await client.deploy("emitter", { code: unseenSource("emitter").source });
  using audience = await Audience.open(kernel);
  const emit = async (count: number): Promise<number> => {
    const begun = performance.now();
    const heard = audience.hears(count);
    await client.call("emitter", "emit", [count]);
    await heard;
    return performance.now() - begun;
  };
  await emit(BURST);
  const single: number[] = [];
  for (let i = 0; i < rounds; i += 1) single.push(await emit(1));
  let burstMs = 0;
  for (let i = 0; i < bursts; i += 1) burstMs += await emit(BURST);
  return [
    {
      name: `event → all ${SUBSCRIBERS} SSE subscribers`,
      ...summarize(single),
      note: "from the call that emits to the last subscriber; the event is on disk before it is sent",
    },
    {
      name: `SSE deliveries, ${SUBSCRIBERS} subscribers`,
      rate: (bursts * BURST * SUBSCRIBERS * 1000) / burstMs,
      note: `bursts of ${BURST} events out of one service; generator and parser in one process`,
    },
  ];
}

/** Sockets that count what they are told; parsing more would measure the generator. */
class Audience implements Disposable {
  readonly #sockets: ReturnType<typeof connect>[] = [];
  #missing = 0;
  #done: (() => void) | undefined;

  static async open({ http, token }: BenchKernel): Promise<Audience> {
    const audience = new Audience();
    const headers = { authorization: `Bearer ${token}`, accept: "text/event-stream" };
    const request = encode(http, {
      method: "GET",
      path: "/events?event_type=service.tick",
      headers,
    });
    for (let i = 0; i < SUBSCRIBERS; i += 1) {
      const socket = connect(http.port, http.host);
      socket.setEncoding("latin1").write(request);
      audience.#sockets.push(socket);
      await new Promise((resolve) => socket.once("data", resolve));
      socket.on("data", (text: string) =>
        audience.#heard(text.split("\nid:").length - 1 + (text.startsWith("id:") ? 1 : 0)),
      );
    }
    return audience;
  }

  /** Resolves when every subscriber has heard of `events` more. */
  hears(events: number): Promise<void> {
    this.#missing += events * SUBSCRIBERS;
    return new Promise((resolve) => (this.#done = resolve));
  }

  #heard(events: number): void {
    this.#missing -= events;
    if (this.#missing === 0) this.#done?.();
  }

  [Symbol.dispose](): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}
