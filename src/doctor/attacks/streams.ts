/** Bodies and responses that do not keep to what HTTP or a stream is. */
import { everyDay, type Attack } from "#doctor/attack.ts";

/** Its call asks its own `fetch`, and reads what it answers. */
const answers = (name: string, body: string, expect: string): Attack => ({
  name,
  kind: "stream",
  code: `export default {
    concurrent: true,
    calls: { async attack(solo: any) {
      const response = await solo.services.fetch(solo.service, "/", { method: "POST", body: "question" });
      return response.status + " " + (await response.text()).length;
    } },
    async fetch(request: any, solo: any) { ${body} },
  };`,
  expect,
});

export const streams: readonly Attack[] = [
  answers("answers a request with nothing", "", "handler_failed → lives"),
  answers("answers a request with a text", "return 'x' as any;", "handler_failed → lives"),
  answers(
    "answers a request with a proxy of a response",
    "return new Proxy(new Response('x'), {});",
    "handler_failed → lives",
  ),
  answers(
    "answers a request with what only calls itself a response",
    "return Object.create(Response.prototype);",
    "handler_failed → lives",
  ),
  answers(
    "answers a request with a then that never tells",
    "return { then() {} } as any;",
    "deadline_exceeded → lives or timeout",
  ),
  answers(
    "answers a request with a response whose getters loop",
    "const response = new Response('x'); Object.defineProperty(response, 'status', { get() { for (;;); } }); return response;",
    "deadline_exceeded → timeout",
  ),
  answers(
    "answers a request with an impossible status",
    "const response = new Response('x'); Object.defineProperty(response, 'status', { get: () => 101 }); return response;",
    "service_error → lives",
  ),
  answers(
    "answers a request with a megabyte of headers",
    "const headers = new Headers(); for (let i = 0; i < 1000; i += 1) headers.append('x-' + i, 'y'.repeat(1000)); return new Response('x', { headers });",
    "handler_failed → lives",
  ),
  answers(
    "answers a request with headers of another connection",
    "return new Response('x', { headers: { 'content-length': '999', 'transfer-encoding': 'chunked', connection: 'upgrade', upgrade: 'websocket' } });",
    "replied → lives",
  ),
  everyDay(
    answers(
      "answers a request with a body of texts",
      "return new Response(new ReadableStream({ start(to) { to.enqueue('text'); to.close(); } }) as any);",
      "service_error → lives",
    ),
  ),
  answers(
    "answers a request with a body that never begins",
    "return new Response(new ReadableStream({}));",
    "deadline_exceeded → lives or timeout",
  ),
  answers(
    "answers a request with a body that never ends",
    "return new Response(new ReadableStream({ pull(to) { to.enqueue(new Uint8Array(65536)); } }));",
    "deadline_exceeded or service_crashed → lives or memory or timeout",
  ),
  answers(
    "answers a request with a body that loops",
    "return new Response(new ReadableStream({ pull() { for (;;); } }));",
    "deadline_exceeded → timeout",
  ),
  answers(
    "answers a request byte by byte",
    "let left = 200_000; return new Response(new ReadableStream({ pull(to) { for (let i = 0; i < 1000; i += 1) { to.enqueue(new Uint8Array(1)); left -= 1; } if (left <= 0) to.close(); } }));",
    "deadline_exceeded or replied → lives or timeout",
  ),
  answers(
    "answers a request with empty pieces without end",
    "return new Response(new ReadableStream({ pull(to) { to.enqueue(new Uint8Array(0)); } }));",
    "deadline_exceeded → lives or timeout",
  ),
  answers(
    "breaks its body off with an error of its own",
    "return new Response(new ReadableStream({ pull(to) { to.enqueue(new Uint8Array(8)); to.error({ get message() { throw new Error('no'); } }); } }));",
    "service_error → lives",
  ),
  answers(
    "detaches the bytes that it has just sent",
    "const bytes = new Uint8Array(8); return new Response(new ReadableStream({ start(to) { to.enqueue(bytes); structuredClone(bytes.buffer, { transfer: [bytes.buffer] }); to.close(); } }));",
    "replied → lives",
  ),
  answers(
    "reads its request again and again, and never to its end",
    "const copies = []; for (let i = 0; i < 2000; i += 1) { const copy = request.clone(); copies.push(copy.body.getReader().read()); } await Promise.all(copies); return new Response('x');",
    "replied or handler_failed or deadline_exceeded → lives or timeout",
  ),
  answers(
    "answers after its caller has gone",
    "await solo.sleep(1500); return new Response('late');",
    "deadline_exceeded → lives or timeout",
  ),
  answers(
    "throws while its body flows",
    "setTimeout(() => { throw new Error('mid-body'); }, 5); return new Response(new ReadableStream({ start(to) { to.enqueue(new Uint8Array(8)); } }));",
    "service_crashed → exception",
  ),
  {
    name: "asks its own fetch, which asks its own fetch",
    kind: "stream",
    code: `export default { concurrent: true, calls: { async attack(solo: any) { return (await solo.services.fetch(solo.service, "/")).status; } },
      async fetch(_: any, solo: any) { const [a, b] = await Promise.all([solo.services.fetch(solo.service, "/"), solo.services.fetch(solo.service, "/")]); return new Response(a.body ?? b.body); } };`,
    expect:
      "deadline_exceeded or limit_exceeded or mailbox_full or service_crashed → lives or memory or limit or timeout",
  },
  {
    name: "calls a service that calls it back",
    kind: "stream",
    code: `export default { calls: {
      attack: (solo: any) => solo.services.call(solo.service, "back"),
      back: (solo: any) => solo.services.call(solo.service, "attack"),
    } };`,
    expect: "deadline_exceeded → lives or timeout",
  },
  {
    name: "calls itself twice for each call",
    kind: "stream",
    code: `export default { concurrent: true, calls: {
      attack: async (solo: any) => { await Promise.allSettled([solo.services.call(solo.service, "attack"), solo.services.call(solo.service, "attack")]); return 1; },
    } };`,
    expect: "deadline_exceeded → lives or limit or memory or timeout",
  },
];
