/** The compiler's process: untrusted, because parsers meet hostile source here. One request
 *  at a time; a source that brings it down brings down nothing else. */
import { Socket } from "node:net";
import { compile } from "#compiler/compile.ts";
import {
  FROM_COMPILER,
  TO_COMPILER,
  type CompileRequest,
  type MapStackRequest,
} from "#wire/compiler.ts";
import { mapStack } from "#compiler/stack.ts";
import { FrameReader, FrameWriter } from "#wire/frame.ts";

const socket = new Socket({ fd: 3, readable: true, writable: true });
const writer = new FrameWriter(socket);

const reader = new FrameReader(({ kind, id, payload }) => {
  const request: unknown = JSON.parse(payload.toString());
  const answer =
    kind === TO_COMPILER.mapStack
      ? { stack: mapStack(request as MapStackRequest) }
      : compile(request as CompileRequest);
  writer.send(FROM_COMPILER.result, 0, id, JSON.stringify(answer));
  // The next request may crash the process: what is done must be out.
  writer.flush();
});

socket.on("data", (chunk: Buffer) => {
  if (!reader.push(chunk)) process.exit(1);
});
socket.on("close", () => process.exit(0));

// The first parse loads and warms the native parts; do it before anybody waits.
compile({
  files: { "warm.ts": "export default { calls: { a: (): number => 1 } };" },
  entry: "warm.ts",
  analyse: true,
});
writer.send(FROM_COMPILER.ready, 0, 0);
