/** A compiler that was taken over: its argument names how it answers. */
import { Socket } from "node:net";

const READY = 1;
const RESULT = 2;
const HEADER_BYTES = 13;
const [behaviour] = process.argv.slice(2);
const socket = new Socket({ fd: 3, readable: true, writable: true });
socket.on("error", () => {});
socket.on("close", () => process.exit(0));

function frame(id, payload, kind = RESULT) {
  const body = Buffer.from(payload);
  const head = Buffer.alloc(HEADER_BYTES);
  head.writeUInt32LE(HEADER_BYTES - 4 + body.length, 0);
  head.writeUInt8(kind, 4);
  head.writeUInt32LE(id, 9);
  return Buffer.concat([head, body]);
}
const result = (path, code) =>
  JSON.stringify({ modules: [{ path, code, map: "" }], diagnostics: [] });

const ANSWERS = {
  "no JSON": () => "{",
  null: () => "null",
  "modules that are no list": () => '{"modules":7,"diagnostics":[]}',
  "a module of another path": () => result("../other.ts", "export default {};"),
  "a module without code": () => '{"modules":[{"path":"index.ts"}],"diagnostics":[]}',
  "findings without a place": () => '{"modules":[],"diagnostics":[{"code":"x"}]}',
  "its own code": () => result("index.ts", "forged"),
  "ten million brackets": () => `{"modules":[${"[],".repeat(5_000_000)}0],"diagnostics":[]}`,
};

/** As a native part would: beside V8's heap. A little more than is allowed, which it then holds. */
function fill(held = []) {
  held.push(Buffer.alloc(64 * 1024 * 1024, 1));
  if (held.length < 20) setTimeout(fill, 10, held);
  else setInterval(() => held, 1000);
}

let pending = Buffer.alloc(0);
socket.on("data", (chunk) => {
  pending = Buffer.concat([pending, chunk]);
  while (pending.length >= 4 && pending.length >= 4 + pending.readUInt32LE(0)) {
    const id = pending.readUInt32LE(9);
    pending = pending.subarray(4 + pending.readUInt32LE(0));
    if (behaviour === "nothing") console.error("asked");
    else if (behaviour === "memory without end") fill();
    else if (behaviour === "a frame of four gigabytes")
      socket.write(Buffer.from([255, 255, 255, 255]));
    else if (behaviour === "another's number") socket.write(frame(id + 1, result("index.ts", "1")));
    else if (behaviour === "twice") {
      const forged = frame(id, result("index.ts", "forged"));
      socket.write(Buffer.concat([frame(id, result("index.ts", "mine")), forged]));
    } else socket.write(frame(id, ANSWERS[behaviour]()));
  }
});
socket.write(frame(0, "", READY));
