/**
 * A cell that has been taken over: it starts like a real one and then says what it likes.
 * Its argument names what it does when the kernel sends it a start, a call or a request.
 */
import { Socket } from "node:net";

const TO_CELL = { start: 1, call: 2, fetch: 5 };
const FROM_CELL = {
  ready: 1,
  started: 2,
  reply: 3,
  failed: 4,
  head: 5,
  body: 6,
  request: 9,
  log: 10,
  state: 11,
  down: 13,
  heartbeat: 14,
};
const HEADER_BYTES = 13;

const [behaviour] = process.argv.slice(2);
const socket = new Socket({ fd: 3, readable: true, writable: true });
socket.on("error", () => {});
socket.on("close", () => process.exit(0));

function frame(kind, slot, id, payload = "") {
  const body = Buffer.from(payload);
  const head = Buffer.alloc(HEADER_BYTES);
  head.writeUInt32LE(HEADER_BYTES - 4 + body.length, 0);
  head.writeUInt8(kind, 4);
  head.writeUInt32LE(slot, 5);
  head.writeUInt32LE(id, 9);
  return Buffer.concat([head, body]);
}
const say = (...parts) => socket.write(frame(...parts));
const length = (bytes) => {
  const head = Buffer.alloc(4);
  head.writeUInt32LE(bytes);
  return head;
};
const times = (count, make) =>
  Buffer.concat(Array.from({ length: count }, (_, index) => make(index)));

const atStart = {
  "null as started": (slot) => say(FROM_CELL.started, slot, 0, "null"),
  "handlers that are no list": (slot) => say(FROM_CELL.started, slot, 0, '{"handlers":7}'),
  "handlers that are no texts": (slot) =>
    say(FROM_CELL.started, slot, 0, '{"handlers":[{"a":1}],"version":{}}'),
};

const atCall = {
  "a frame of four gigabytes": () => socket.write(length(0xffffffff)),
  "a frame of no length": () => socket.write(length(0)),
  "random bytes": () => socket.write(Buffer.alloc(1024 * 1024, 0xa5)),
  "a kind that is not there": (slot, id) => say(200, slot, id, "null"),
  "a request that is no JSON": (slot, id) => say(FROM_CELL.request, slot, id, "{"),
  "a log line that is null": (slot) => say(FROM_CELL.log, slot, 0, "null"),
  "a reply that is no JSON": (slot, id) => say(FROM_CELL.reply, slot, id, "{"),
  "a heartbeat that is null": () => say(FROM_CELL.heartbeat, 0, 0, "null"),
  "an end that is null": (slot) => say(FROM_CELL.down, slot, 0, "null"),
  "an end with nonsense in it": (slot) =>
    say(FROM_CELL.down, slot, 0, '{"reason":{"a":1},"message":[],"stack":9,"unstarted":5}'),
  "a request of ten million brackets": (slot, id) =>
    say(FROM_CELL.request, slot, id, `["kv.get",[${"[],".repeat(10_000_000)}0]]`),
  "a reply nested four million deep": (slot, id) =>
    say(FROM_CELL.reply, slot, id, "[".repeat(4_000_000) + "]".repeat(4_000_000)),
  "an error nested four million deep": (slot, id) =>
    say(FROM_CELL.failed, slot, id, `{"code":${"[".repeat(4_000_000)}${"]".repeat(4_000_000)}}`),
  "a log line of thirty megabytes": (slot) =>
    say(FROM_CELL.log, slot, 0, `{"level":"info","text":"${"x".repeat(30_000_000)}"}`),
  "a heartbeat of two million instances": () =>
    say(FROM_CELL.heartbeat, 0, 0, `{"instances":[${'{"slot":1},'.repeat(2_000_000)}{}]}`),
  "a heartbeat of endless numbers": (slot) =>
    say(FROM_CELL.heartbeat, 0, 0, `{"instances":[{"slot":${slot},"ranMs":1e999}]}`),
  "an end of half a million messages": (slot) =>
    say(
      FROM_CELL.down,
      slot,
      0,
      `{"reason":"exception","name":"","message":"","stack":"","unstarted":[${"1,".repeat(400_000)}1]}`,
    ),
  "a start of three hundred kilobytes": (slot) =>
    say(FROM_CELL.started, slot, 0, `{"handlers":["${"x".repeat(300_000)}"]}`),
  "a second start": (slot) => say(FROM_CELL.started, slot, 0, '{"handlers":["calls.get"]}'),
  "two requests under one id": (slot) => {
    for (let count = 0; count < 2; count += 1)
      say(FROM_CELL.request, slot, 1, '["services.call",["svc","get"]]');
  },
  "more requests than its window": (slot) => {
    for (let id = 1; id <= 513; id += 1)
      say(FROM_CELL.request, slot, id, '["services.call",["svc","get"]]');
  },
  "requests of more than its window": (slot) => {
    for (let id = 1; id <= 8; id += 1)
      say(
        FROM_CELL.request,
        slot,
        id,
        `["services.call",["svc","get",["${"x".repeat(7_000_000)}"]]]`,
      );
  },
  "state beyond every limit": (slot) => say(FROM_CELL.state, slot, 0, "x".repeat(31 * 1024 * 1024)),
  "replies for everybody": (slot, id) => {
    socket.write(
      times(2000, (at) => frame(FROM_CELL.reply, at % 50, Math.floor(at / 50), '"forged"')),
    );
    socket.write(
      times(50, (at) => frame(FROM_CELL.down, at + 2, 0, '{"reason":"exception","unstarted":[]}')),
    );
    say(FROM_CELL.reply, slot, id, '"mine"');
  },
  "a flood of log lines": (slot, id) =>
    flood(slot, id, FROM_CELL.log, '{"level":"info","text":"x"}'),
  "a flood of requests": (slot, id) => flood(slot, id, FROM_CELL.request, '["kv.get",["k"]]'),
};

const atFetch = {
  "a head that is no JSON": (slot, id) => say(FROM_CELL.head, slot, id, "{"),
  "headers that are no list": (slot, id) =>
    say(FROM_CELL.head, slot, id, '{"status":200,"headers":7,"body":true}'),
  "headers that are no texts": (slot, id) =>
    say(FROM_CELL.head, slot, id, '{"status":200,"headers":[["a",{}]],"body":true}'),
  "a status that is not there": (slot, id) =>
    say(FROM_CELL.head, slot, id, '{"status":7,"headers":[],"body":true}'),
  "a body of single bytes, and more after its end": (slot, id) => {
    say(FROM_CELL.head, slot, id, '{"status":200,"headers":[],"body":true}');
    socket.write(times(100_000, () => frame(FROM_CELL.body, slot, id, "x")));
    say(FROM_CELL.body, slot, id);
    for (let count = 0; count < 3; count += 1) say(FROM_CELL.body, slot, id, "after the end");
    say(FROM_CELL.head, slot, id, '{"status":500,"headers":[],"body":false}');
    say(FROM_CELL.reply, slot, id, '"twice"');
  },
  "a body beyond its window": (slot, id) => {
    say(FROM_CELL.head, slot, id, '{"status":200,"headers":[],"body":true}');
    for (let count = 0; count < 40; count += 1)
      say(FROM_CELL.body, slot, id, Buffer.alloc(1024 * 1024));
  },
};

/** 100 000 frames as fast as they are taken, then the reply. */
function flood(slot, id, kind, payload, rounds = 100) {
  if (rounds === 0) return say(FROM_CELL.reply, slot, id, '"mine"');
  socket.write(
    times(1000, (at) => frame(kind, slot, at + 1, payload)),
    () => flood(slot, id, kind, payload, rounds - 1),
  );
}

let pending = Buffer.alloc(0);
socket.on("data", (chunk) => {
  pending = Buffer.concat([pending, chunk]);
  while (pending.length >= 4 && pending.length >= 4 + pending.readUInt32LE(0)) {
    const end = 4 + pending.readUInt32LE(0);
    const [kind, slot, id] = [
      pending.readUInt8(4),
      pending.readUInt32LE(5),
      pending.readUInt32LE(9),
    ];
    pending = pending.subarray(end);
    if (kind === TO_CELL.start) {
      (
        atStart[behaviour] ??
        (() => say(FROM_CELL.started, slot, 0, '{"handlers":["calls.get","fetch"]}'))
      )(slot);
    } else if (kind === TO_CELL.call)
      (atCall[behaviour] ?? (() => say(FROM_CELL.reply, slot, id, "1")))(slot, id);
    else if (kind === TO_CELL.fetch) atFetch[behaviour]?.(slot, id);
  }
});
setInterval(() => say(FROM_CELL.heartbeat, 0, 0, '{"rssBytes":1,"instances":[]}'), 250);
say(FROM_CELL.ready, 0, 0);
