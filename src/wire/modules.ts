/** Which module an import means: relative paths within the files that were deployed together. */
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

/** Why an import cannot be followed, in words that say what to do. */
export function importRefusal(specifier: string, referrer: string): string {
  if (specifier.startsWith("node:")) {
    return `${referrer} imports "${specifier}": services have no Node modules. Use the web-standard globals and the solo object.`;
  }
  if (specifier.startsWith(".") || specifier.startsWith("/")) {
    return `${referrer} imports "${specifier}", which is not among the files of this deploy.`;
  }
  return `${referrer} imports the package "${specifier}". Bundle npm packages into the source (for example: esbuild --bundle --format=esm), or import only "solo" and relative paths.`;
}
