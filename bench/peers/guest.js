/** One service, alone in a worker thread or a child process. */
import { parentPort, workerData } from "node:worker_threads";

const channel = parentPort ?? process;
const send = (message) =>
  parentPort === null ? process.send(message) : parentPort.postMessage(message);

const { default: service } = await import(workerData ?? process.argv[2]);
const solo = { state: await service.init?.({}) };
channel.on("message", async ({ id, name, args }) => {
  send({ id, reply: await service.calls[name](solo, ...args) });
});
if (parentPort === null) process.on("disconnect", () => process.exit());
send({ id: 0 });
