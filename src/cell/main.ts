/** The process of a cell. Its arguments: the build of isolated-vm, the guest image, and how many
 *  isolates of which size to keep ready. File descriptor 3 is the kernel. */
import { createRequire } from "node:module";
import { Socket } from "node:net";
import type IVM from "isolated-vm";
import { Cell } from "#cell/cell.ts";
import { readImage } from "#cell/image-file.ts";
import { createIsolateEngine } from "#cell/isolate-engine.ts";
import { answerSubtle } from "#cell/prelude/subtle-host.ts";

const inMs = ({ user, system }: NodeJS.CpuUsage): number => (user + system) / 1000;

const [addonPath, imagePath, plainSpares, spareMemoryMb] = process.argv.slice(2);

/** An orderly exit would wait for guests' threads: for ever, when one of them loops. */
const die = () => process.kill(process.pid, "SIGKILL");

const { ivm } = createRequire(addonPath!)(addonPath!) as { ivm: typeof IVM };
const engine = createIsolateEngine({
  ivm,
  image: readImage(imagePath!),
  spares: {
    count: { plain: Number(plainSpares), web: Math.min(1, Number(plainSpares)) },
    memoryMb: Number(spareMemoryMb),
  },
  onCatastrophe: die,
});
const cell = new Cell({
  socket: new Socket({ fd: 3, readable: true, writable: true }),
  engine,
  answerLocally: (method, request) =>
    method === "crypto.subtle" ? answerSubtle(request) : undefined,
  cpuMs: () => inMs(process.cpuUsage()),
  threadCpuMs: () => inMs(process.threadCpuUsage()),
  exit: die,
});
cell.serve();
