/** The usual ways to run somebody's source beside your own: a thread or a process for each. */
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import { transformSync } from "oxc-transform";

export type HostKind = "worker" | "process";

/** A service in a thread or process of its own. */
export interface Hosted {
  call(name: string, args: unknown[]): Promise<unknown>;
  stop(): Promise<void>;
}

const GUEST = new URL("guest.js", import.meta.url);
const SDK = "data:text/javascript,export const defineService = (service) => service;";

interface Channel {
  send(message: unknown): void;
  on(event: "message", listener: (message: { id: number; reply: unknown }) => void): unknown;
}

export async function startHosted(kind: HostKind, source: string): Promise<Hosted> {
  const { code } = transformSync("service.ts", source, { lang: "ts", sourceType: "module" });
  const module = `data:text/javascript,${encodeURIComponent(code.replace('"solo"', JSON.stringify(SDK)))}`;
  if (kind === "worker") {
    const worker = new Worker(GUEST, { workerData: module });
    const channel = {
      send: (message: unknown) => worker.postMessage(message),
      on: worker.on.bind(worker) as Channel["on"],
    };
    return hosted(channel, async () => void (await worker.terminate()));
  }
  const child = fork(fileURLToPath(GUEST), [module], { execArgv: [] });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const channel = {
    send: (message: unknown) => void child.send(message as object),
    on: child.on.bind(child) as Channel["on"],
  };
  return hosted(channel, () => {
    child.kill("SIGKILL");
    return exited;
  });
}

/** Ready when the guest has said so. */
function hosted(channel: Channel, stop: () => Promise<void>): Promise<Hosted> {
  const waiting = new Map<number, (reply: unknown) => void>();
  let next = 1;
  return new Promise((resolve) => {
    waiting.set(0, () =>
      resolve({
        stop,
        call: (name, args) =>
          new Promise((answered) => {
            const id = next++;
            waiting.set(id, answered);
            channel.send({ id, name, args });
          }),
      }),
    );
    channel.on("message", ({ id, reply }) => {
      waiting.get(id)?.(reply);
      waiting.delete(id);
    });
  });
}
