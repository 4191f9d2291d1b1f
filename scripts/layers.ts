/**
 * Checks that imports point one way: `npm run layers`.
 *
 * 1. A file imports its own layer and the layers its row allows, nothing else; type imports
 *    count. A folder without a row is refused.
 * 2. No files import each other in a circle; type-only imports do not close one, since they
 *    are gone at run time.
 */
import { readdirSync, readFileSync } from "node:fs";
import { posix } from "node:path";
import { fileURLToPath } from "node:url";
import { parseSync, Visitor } from "oxc-parser";

type Allowed = "everything" | readonly string[];

/** Who may import whom, top to bottom. */
export const LAYERS: Readonly<Record<string, Allowed>> = {
  bin: "everything",
  cli: ["mcp", "client", "certs", "api", "config", "base"],
  doctor: ["client", "base"],
  client: ["api", "base"],
  gateway: ["mcp", "certs", "api", "base"],
  mcp: ["api", "base"],
  kernel: [
    "api",
    "wire",
    "supervisor",
    "events",
    "storage",
    "deploy",
    "limits",
    "capability",
    "vault",
    "sandbox",
    "egress",
    "config",
    "base",
  ],
  cell: ["wire", "sdk", "base"],
  compiler: ["wire", "base"],
  sandbox: ["base"],
  deploy: ["capability", "storage", "wire", "base"],
  egress: ["base"],
  limits: [],
  capability: ["storage", "events", "base"],
  vault: ["storage", "events", "base"],
  events: ["storage", "base"],
  supervisor: ["base"],
  storage: ["base"],
  api: ["base"],
  wire: ["base"],
  config: ["base"],
  certs: ["base"],
  sdk: [],
  base: [],
};

export interface Import {
  /** Path below src, of the imported file. */
  readonly to: string;
  readonly typeOnly: boolean;
  readonly line: number;
}

/** The project's own files that this source imports; packages are left out. */
export function importsOf(file: string, source: string): Import[] {
  const found: Import[] = [];
  const add = (specifier: string, start: number, typeOnly: boolean) => {
    const to = specifier.startsWith("#")
      ? specifier.slice(1)
      : specifier.startsWith(".")
        ? posix.join(posix.dirname(file), specifier)
        : undefined;
    if (to !== undefined) {
      found.push({ to, typeOnly, line: source.slice(0, start).split("\n").length });
    }
  };
  const { program } = parseSync(file, source);
  new Visitor({
    ImportDeclaration: (node) => add(node.source.value, node.start, node.importKind === "type"),
    ExportNamedDeclaration: (node) => {
      if (node.source) add(node.source.value, node.start, node.exportKind === "type");
    },
    ExportAllDeclaration: (node) => add(node.source.value, node.start, node.exportKind === "type"),
    ImportExpression: (node) => {
      if (node.source.type === "Literal" && typeof node.source.value === "string") {
        add(node.source.value, node.start, false);
      }
    },
    TSImportType: (node) => add(node.source.value, node.start, true),
  }).visit(program);
  return found;
}

const layerOf = (file: string): string => file.slice(0, Math.max(file.indexOf("/"), 0));

function layerViolation(file: string, { to, line }: Import): string | undefined {
  const from = layerOf(file);
  const target = layerOf(to);
  const allowed = LAYERS[from] ?? [];
  if (target === from || allowed === "everything" || allowed.includes(target)) return undefined;
  const may = allowed.length === 0 ? "nothing else" : allowed.join(", ");
  return `src/${file}:${line} imports ${to}: ${from} may import ${may}`;
}

/** Each circle once, as the files on it, beginning with the first by name. */
function circles(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const found = new Map<string, string[]>();
  const done = new Set<string>();
  const visit = (file: string, trail: readonly string[]): void => {
    const start = trail.indexOf(file);
    if (start !== -1) {
      const circle = trail.slice(start);
      found.set(circle.toSorted().join(" "), circle);
      return;
    }
    if (done.has(file)) return;
    for (const next of graph.get(file) ?? []) visit(next, [...trail, file]);
    done.add(file);
  };
  for (const file of [...graph.keys()].toSorted()) visit(file, []);
  return [...found.values()];
}

/** Everything wrong with these sources, by path below src. */
export function violations(sources: ReadonlyMap<string, string>): string[] {
  const imports = new Map([...sources].map(([file, text]) => [file, importsOf(file, text)]));
  const strangers = [...new Set([...sources.keys()].map(layerOf))]
    .filter((layer) => !Object.hasOwn(LAYERS, layer))
    .map((layer) => `src/${layer} is not a layer: give it a row in scripts/layers.ts`);
  const crossings = [...imports].flatMap(([file, all]) =>
    all.flatMap((each) => layerViolation(file, each) ?? []),
  );
  const graph = new Map(
    [...imports].map(([file, all]) => [
      file,
      all.filter((each) => !each.typeOnly).map((each) => each.to),
    ]),
  );
  const loops = circles(graph).map((files) => `circle: ${[...files, files[0]].join(" → ")}`);
  return [...strangers, ...crossings, ...loops];
}

function readSources(root: string): ReadonlyMap<string, string> {
  const files = readdirSync(root, { recursive: true, encoding: "utf8" })
    .map((file) => file.replaceAll("\\", "/"))
    .filter((file) => file.endsWith(".ts"));
  return new Map(files.map((file) => [file, readFileSync(`${root}/${file}`, "utf8")]));
}

if (import.meta.main) {
  const sources = readSources(fileURLToPath(new URL("../src", import.meta.url)));
  const found = violations(sources);
  for (const violation of found) console.error(violation);
  console.log(`layers: ${sources.size} files, ${found.length} violations`);
  process.exitCode = found.length === 0 ? 0 : 1;
}
