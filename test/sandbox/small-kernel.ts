/** A kernel in miniature: one walled cell, whose host pid it prints; then it waits. */
import { once } from "node:events";
import { DECOY, launch, probeHere } from "./support.ts";

const walls = await probeHere();
const cell = await launch(walls, ["-e", `require("fs").writeSync(3, "up"); ${DECOY[1]}`]);
await once(cell.child.stdio[3]!, "data");
process.stdout.write(
  `${JSON.stringify({ pid: cell.innerPid(), outer: cell.pid, leaked: walls.leakedFds })}\n`,
);
