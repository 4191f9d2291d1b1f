/**
 * The segment that always runs: it hardens the engine's own globals, then installs
 * the platform, of which it brings the small everyday parts itself.
 *
 * 1. Nothing it leaves on globalThis leads to the host object.
 * 2. The other segments are given as text, or as functions where they are compiled already.
 */
import { GLOBALS, INTERNALS, SEGMENT_NAMES, type SegmentName } from "../segments.ts";
import type { Segment, Segments } from "../host.ts";
import { harden } from "./harden.ts";
import { installLazily, provide, settle } from "./install.ts";
import { loadFrom, type Load } from "./parts.ts";
import { host, platform } from "./platform.ts";
import "./wasm.ts";

declare const __soloSegments: Segments;

const segments = __soloSegments;
/** Only ever given the segments' own text. */
// oxlint-disable-next-line no-eval -- the one way to run text that isolates share
const evaluate = globalThis.eval;

const loadCore = loadFrom([
  { load: () => require("./console.ts"), names: ["console", "reportError"] },
  { load: () => require("./pristine.ts"), names: ["pristineGlobal"] },
  {
    load: () => require("./timers.ts"),
    names: ["setTimeout", "setInterval", "clearTimeout", "clearInterval", "queueMicrotask"],
  },
]);

function open(name: Exclude<SegmentName, "core">): Load {
  const given = segments[name];
  const segment = typeof given === "string" ? (evaluate(given) as Segment) : given;
  return segment(host, platform) as Load;
}

function loaderOf(name: SegmentName): Load {
  if (name === "core") return loadCore;
  let load: Load | undefined;
  return (global) => (load ??= open(name))(global);
}

harden();
for (const segment of SEGMENT_NAMES) {
  const load = loaderOf(segment);
  for (const name of INTERNALS[segment]) provide(name, load);
  for (const name of GLOBALS[segment]) {
    provide(name, load);
    installLazily(name);
  }
}
settle("self", globalThis);

export default undefined;
