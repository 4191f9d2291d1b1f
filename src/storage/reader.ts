/** The reading thread as the main thread uses it: started by the first read, and again if it was lost. */
import { SoloError } from "#base/errors.ts";
import type { ReaderData } from "#storage/reader-thread.ts";
import { ThreadClient } from "#storage/thread-client.ts";

export class Reader {
  readonly #eventsDir: string;
  #starting: Promise<ThreadClient> | undefined;
  #thread: ThreadClient | undefined;
  #ended = false;

  constructor(eventsDir: string) {
    this.#eventsDir = eventsDir;
  }

  async use<T>(work: (thread: ThreadClient) => Promise<T>): Promise<T> {
    if (this.#ended)
      throw new SoloError("unavailable", "Storage is closed.", { retryAfterMs: 100 });
    if (this.#thread?.isGone) this.#starting = this.#thread = undefined;
    return await work(await (this.#starting ??= this.#start()));
  }

  async close(): Promise<void> {
    this.#ended = true;
    const thread = await this.#starting?.catch(() => undefined);
    await thread?.request("close", undefined);
    await thread?.closed;
  }

  kill(): void {
    this.#ended = true;
    this.#thread?.kill();
  }

  async #start(): Promise<ThreadClient> {
    try {
      const module = new URL("./reader-thread.ts", import.meta.url);
      const workerData: ReaderData = { eventsDir: this.#eventsDir };
      const { client } = await ThreadClient.start({ module, name: "solo-reader", workerData });
      this.#thread = client;
      if (this.#ended) client.kill();
      return client;
    } catch (error) {
      this.#starting = undefined;
      throw error;
    }
  }
}
