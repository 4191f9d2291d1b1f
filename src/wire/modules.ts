/** Which module an import means: relative paths within the files that were deployed together. */
import { isBuiltin } from "node:module";
import { posix } from "node:path";

export const SDK_SPECIFIER = "solo";

const EXTENSIONS = ["", ".ts", ".js", ".mjs", ".mts", ".json", "/index.ts", "/index.js"];

/** The path that `specifier` names from `referrer`, or undefined. `./x.js` finds `x.ts` too. */
export function resolveModule(
  specifier: string,
  referrer: string,
  paths: ReadonlySet<string>,
): string | undefined {
  if (!specifier.startsWith("./") && !specifier.startsWith("../")) return undefined;
  const wanted = posix.normalize(posix.join(posix.dirname(referrer), specifier));
  for (const extension of EXTENSIONS) {
    if (paths.has(wanted + extension)) return wanted + extension;
  }
  const typescript = wanted.replace(/\.(m?)js$/, ".$1ts");
  return paths.has(typescript) ? typescript : undefined;
}

const INSTEAD: Readonly<Record<string, string>> = {
  fs: "Keep data in solo.state or solo.kv, and deploy fixed data as .json files.",
  http: "To serve HTTP, export fetch(request, solo); to ask others, use the global fetch.",
  crypto: "Use the global crypto (crypto.subtle, crypto.randomUUID).",
  events: "Use EventTarget, or solo.publish and solo.subscribe between services.",
  timers: "Use setTimeout, or solo.after and solo.every.",
  process: "Settings come as solo.env.",
  url: "Use the globals URL and URLSearchParams.",
  stream: "Use the global ReadableStream, WritableStream and TransformStream.",
};
const SAME_AS: Readonly<Record<string, string>> = { https: "http", http2: "http", net: "http" };

/** What does in a service what this module of Node does elsewhere. */
function insteadOf(specifier: string): string {
  const name = specifier.replace(/^node:/, "").split("/")[0]!;
  return (
    INSTEAD[SAME_AS[name] ?? name] ??
    "Use the web-standard globals (docs/globals.md) and the solo object."
  );
}

/** Why an import cannot be followed, in words that say what to do. */
export function importRefusal(specifier: string, referrer: string): string {
  if (isBuiltin(specifier)) {
    return `${referrer} imports "${specifier}": services have no Node modules. ${insteadOf(specifier)}`;
  }
  if (specifier.startsWith(".") || specifier.startsWith("/")) {
    return `${referrer} imports "${specifier}", which is not among the files of this deploy.`;
  }
  return `${referrer} imports the package "${specifier}". Bundle npm packages into the source (for example: esbuild --bundle --format=esm), or import only "solo" and relative paths.`;
}
