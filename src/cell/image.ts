/**
 * What every guest starts from: the bridge and the web platform, compiled, in one file that
 * the kernel makes and cells read.
 *
 * 1. The file's name says what went into it; a torn one is never seen, because it is written
 *    aside and renamed.
 */
import { createHash, randomUUID } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readFile, readdir, rename, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { cachedDataVersionTag, setFlagsFromString } from "node:v8";
import type IVM from "isolated-vm";
import { ADOPT_GLOBAL, IN } from "#cell/guest/lines.ts";
import { encodeImage, type GuestScript } from "#cell/image-file.ts";
import { loadPrelude, type Prelude } from "#cell/prelude/build.ts";

/** Of the file; see image-file.ts. */
const FORMAT = 2;
/** As cells run with it (kernel/cells/programs.ts): V8 refuses compiled code made under other flags. */
const CELL_FLAG = "--wasm-max-mem-pages=4096";

/** Encoded states, as JSON text: one that JSON holds as it is, and one with a Map. */
const STATE = JSON.stringify('{"count":1}');
const STATE_WITH_MAP = JSON.stringify('[{"count":1,"seen":2},1,["Map"]]');

/** What an instance may begin with, and the turns that follow: the functions that these need are
 *  worth keeping compiled. Compiling them on the spot takes longer than running them. */
const LIVES: readonly { readonly setup: string; readonly turns: readonly string[] }[] = [
  {
    setup: '"state":{"from":"init"}',
    turns: [
      `${IN.call} 1 ["get",[]]`,
      `${IN.fetch} 2 {"method":"GET","url":"http://localhost/","headers":[],"body":false}`,
      `${IN.snapshot} 1 whole`,
      `${IN.snapshot} 2 idle`,
      `${IN.call} 3 ["fail",[]]`,
    ],
  },
  {
    setup: '"state":{"from":"handover"}',
    turns: [`${IN.adopt} 0 {"state":${STATE_WITH_MAP},"via":"codeChange","timeoutMs":1000}`],
  },
  {
    setup: `"keepState":true,"state":{"from":"asleep","state":${STATE}}`,
    turns: [`${IN.cast} 1 ["set",[]]`, `${IN.snapshot} 1 changed`],
  },
  {
    setup: `"durable":true,"keepState":true,"state":{"from":"stored","migrate":false,"state":${STATE}}`,
    turns: [`${IN.call} 1 ["get",[]]`, `${IN.terminate} 0 "stop"`],
  },
];
const EVERYDAY_SERVICE = `{ default: {
  version: "1",
  init: () => ({ count: 1 }),
  calls: { get: (solo) => solo.state.count, fail() { throw new Error("fail"); } },
  casts: { set(solo) { solo.state.count += 1; } },
  codeChange: (old) => ({ ...old }),
  fetch: () => new Response(""),
} }`;

const HERE = dirname(fileURLToPath(import.meta.url));
const GUEST_DIR = join(HERE, "guest");
/** What the guest takes from elsewhere that is there when it runs. */
const SHARED = [join(HERE, "../wire/messages.ts")];

/** The path of the image, made if it is not there. `cacheDir` is trusted: V8 runs what is in it. */
export async function prepareImage({ cacheDir }: { cacheDir: string }): Promise<string> {
  setFlagsFromString(CELL_FLAG);
  const [sources, prelude] = await Promise.all([readSources(), loadPrelude({ cacheDir })]);
  const hash = createHash("sha256")
    .update(`${process.version}\0${cachedDataVersionTag()}\0${FORMAT}\0`)
    .update(sources)
    .update(JSON.stringify([LIVES, EVERYDAY_SERVICE]));
  for (const { code, cachedData } of Object.values(prelude)) hash.update(code).update(cachedData);
  const path = join(cacheDir, `guest-${hash.digest("hex").slice(0, 32)}.bin`);
  if (existsSync(path)) return path;
  const image = encodeImage({ bridge: await buildBridge(prelude), prelude });
  await mkdir(cacheDir, { recursive: true });
  const temporary = `${path}.${randomUUID()}`;
  await writeFile(temporary, image);
  await rename(temporary, path);
  return path;
}

const turnOf = (line: string): string => `$0.turn(${JSON.stringify(line)}, true); $0.drain(true);`;

async function readSources(): Promise<string> {
  const names = (await readdir(GUEST_DIR)).sort();
  const paths = [...names.map((name) => join(GUEST_DIR, name)), ...SHARED];
  const texts = await Promise.all(paths.map((path) => readFile(path, "utf8")));
  return texts.join("\0");
}

/** Loaded only here: a process that finds the image has no use for a bundler. */
async function buildBridge(prelude: Prelude): Promise<GuestScript> {
  const [{ build }, { default: ivm }] = await Promise.all([
    import("esbuild"),
    import("isolated-vm"),
  ]);
  const { outputFiles } = await build({
    entryPoints: [join(GUEST_DIR, "main.ts")],
    bundle: true,
    write: false,
    format: "iife",
    globalName: "bridge",
    platform: "neutral",
    mainFields: ["module", "main"],
    target: "esnext",
    charset: "ascii",
    minify: true,
    keepNames: true,
    legalComments: "none",
    logLevel: "silent",
  });
  const code = `(function(){${outputFiles[0]!.text}return bridge.default})()`;
  const isolate = new ivm.Isolate();
  const options = { filename: "solo:bridge" };
  try {
    // Compiled form is taken after a run: it then holds the functions that were needed.
    for (const { setup, turns } of LIVES) {
      const context = isolate.createContextSync();
      const create = isolate.compileScriptSync(code, options).runSync(context, { reference: true });
      const parts: IVM.Reference<any> = create.applySync(undefined, [], {
        result: { reference: true },
      });
      const host = parts.getSync("host", { reference: true });
      const given = context.evalSync("({})", { reference: true });
      for (const segment of Object.values(prelude)) given.setSync(segment.name, segment.code);
      const core = isolate
        .compileScriptSync(prelude.core.code)
        .runSync(context, { reference: true });
      core.applySync(undefined, [host.derefInto(), given.derefInto()]);
      const api = parts.getSync("api", { reference: true });
      const run = (source: string) => context.evalClosureSync(source, [api.derefInto()]);
      run(turnOf(`${IN.setup} 0 {"seed":[],"env":{},${setup},"stateBytes":1000,"excluded":[]}`));
      run(`globalThis.${ADOPT_GLOBAL}(${EVERYDAY_SERVICE})`);
      for (const line of [`${IN.idle} 0`, ...turns]) run(turnOf(line));
      run("$0.salvage()");
    }
    const script = isolate.compileScriptSync(code, { ...options, produceCachedData: true });
    const data = (script as unknown as { cachedData: { copy(): ArrayBuffer } }).cachedData;
    return { code, cachedData: Buffer.from(data.copy()) };
  } finally {
    isolate.dispose();
  }
}
