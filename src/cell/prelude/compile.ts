/**
 * V8's compiled form of the segments, taken after they have run.
 *
 * 1. Compiling the same source again in the same isolate finds the functions that ran
 *    meanwhile, and the data written then holds them.
 */
import ivm from "isolated-vm";
import type { SegmentName } from "./segments.ts";

/** Far above what the prelude needs. */
const ISOLATE_MB = 64;

const filenameOf = (name: SegmentName): string => `solo:${name}`;

/** Enough of a host for the prelude to start; it lives inside the isolate. */
const IDLE_HOST = `({
  send() {}, setTimer: () => 1, clearTimer() {}, log() {}, entropy() {}, now: () => 0,
  request: () => Promise.reject(new Error("There is no host")),
})`;

/**
 * What nearly every service does on its first request. Compiling these functions on
 * the spot takes ten times as long as reading them from the data.
 */
const EVERYDAY = `
(async () => {
  console.log("%s", "text", { a: 1, b: [true, null], c: { d: "text" } }, new Error("x"), new Map([[1, 2]]));
  const headers = { accept: "*/*" };
  const request = new Request("http://solo.local/path?query=1", { method: "POST", body: "{}", headers });
  new URL(request.url).searchParams.get("query");
  [...request.headers];
  await request.json();
  const response = Response.json({ done: true }, { status: 201 });
  response.headers.set("x-a", "b");
  await new Response("text").text();
  const pull = (controller) => { controller.enqueue(new Uint8Array(1)); controller.close(); };
  await new Response(new ReadableStream({ pull })).arrayBuffer();
  new AbortController().abort();
  structuredClone({ a: [1] });
  atob(btoa("x"));
})();
undefined;
`;

interface Source {
  readonly name: SegmentName;
  readonly code: string;
}

export function compileAfterRun(sources: readonly Source[]): Buffer[] {
  const isolate = new ivm.Isolate({ memoryLimit: ISOLATE_MB });
  try {
    const context = isolate.createContextSync();
    const evaluate = (code: string, filename?: string): ivm.Reference =>
      isolate
        .compileScriptSync(code, filename === undefined ? {} : { filename })
        .runSync(context, { reference: true });
    const functions = sources.map(
      ({ name, code }) => [name, evaluate(code, filenameOf(name))] as const,
    );
    const segments = evaluate("({})");
    for (const [name, segment] of functions) segments.setSync(name, segment.derefInto());
    const core = functions.find(([name]) => name === "core")![1];
    core.applySync(undefined, [evaluate(IDLE_HOST).derefInto(), segments.derefInto()]);
    isolate.compileScriptSync(EVERYDAY).runSync(context);
    return sources.map(({ name, code }) => {
      const script = isolate.compileScriptSync(code, {
        filename: filenameOf(name),
        produceCachedData: true,
      });
      return Buffer.from(
        (script as unknown as { cachedData: ivm.ExternalCopy<ArrayBuffer> }).cachedData.copy(),
      );
    });
  } finally {
    isolate.dispose();
  }
}
