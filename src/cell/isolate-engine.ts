/**
 * One isolated-vm isolate per guest, on this cell's thread pool or, for guests known to be
 * quick, on this thread.
 *
 * 1. Nothing of the host is reachable by the guest: no Reference or callback goes in.
 * 2. A few isolates wait ready-made; they are refilled only when the cell is idle.
 */
import type IVM from "isolated-vm";
import { ADOPT_GLOBAL, IN } from "#cell/guest/lines.ts";
import { SDK_MODULE } from "#cell/guest/sdk-module.ts";
import {
  GuestFailure,
  type Engine,
  type FailureKind,
  type Guest,
  type RunOptions,
} from "#cell/engine.ts";
import { BrokenBridge, MAX_TEXT_CHARS, readBytes } from "#cell/from-guest.ts";
import { COPY_TIMEOUT_MS } from "#cell/lanes.ts";
import { SDK_SPECIFIER, importRefusal, resolveModule } from "#wire/modules.ts";
import type { GuestImage } from "#cell/image-file.ts";
import { segmentsFor, webCanWait, type SegmentName } from "#cell/prelude/segments.ts";
import type { Module } from "#wire/messages.ts";

const ENTRY_PATH = "solo:entry";
const ENTRY_MODULE = `import * as service from "solo:service"; globalThis.${ADOPT_GLOBAL}(service);`;
const FIRST_TURN = { timeoutMs: 1000 };
const SMALL_SOURCE_CHARS = 64 * 1024;
const SALVAGE_TIMEOUT_MS = 100;
const BOUNDARY = "(<isolated-vm boundary>)";

type Api = Record<"turn" | "drain" | "salvage" | "give" | "take", IVM.Reference<any>>;

/** The guest's own part of a stack: what lies below the wall is the host's. */
function guestStack(stack: string): string {
  const lines: string[] = [];
  for (const line of stack.split("\n")) {
    if (line.includes(BOUNDARY)) break;
    lines.push(line);
  }
  return lines.join("\n");
}

function failureOf(thrown: unknown, disposed: boolean): GuestFailure {
  if (thrown instanceof GuestFailure) return thrown;
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  let kind: FailureKind = "exception";
  if (error.message === "Script execution timed out.") kind = "timeout";
  else if (error.message.includes("memory limit")) kind = "memory";
  else if (disposed || error.message === "Isolate is disposed") kind = "disposed";
  const said = (value: unknown) => String(value).slice(0, MAX_TEXT_CHARS);
  return new GuestFailure(
    kind,
    said(error.name),
    said(error.message),
    guestStack(said(error.stack)),
  );
}

/** A turn returns text, or the guest has tampered with the bridge. */
function text(value: unknown): string {
  if (typeof value === "string" && value !== "") return value;
  throw new BrokenBridge();
}

class IsolateGuest implements Guest {
  readonly #isolate: IVM.Isolate;
  readonly #context: IVM.Context;
  readonly #api: Api;
  readonly #prepare: (segment: SegmentName) => void;
  readonly #prepared = new Set<SegmentName>();
  /** What is the same for every service. */
  readonly #sdk: IVM.Module;
  readonly #entry: IVM.Module;

  constructor(options: {
    isolate: IVM.Isolate;
    context: IVM.Context;
    api: IVM.Reference<any>;
    /** Compiles a part of the platform before the guest touches it. */
    prepare: (segment: SegmentName) => void;
  }) {
    const { isolate, context, api } = options;
    this.#isolate = isolate;
    this.#context = context;
    this.#prepare = options.prepare;
    const get = (name: string) => api.getSync(name, { reference: true });
    this.#api = {
      turn: get("turn"),
      drain: get("drain"),
      salvage: get("salvage"),
      give: get("give"),
      take: get("take"),
    };
    this.#sdk = isolate.compileModuleSync(SDK_MODULE, { filename: SDK_SPECIFIER });
    // Its body runs once everything that it imports has, top-level awaits included.
    this.#entry = isolate.compileModuleSync(ENTRY_MODULE, { filename: ENTRY_PATH });
    // The first turn in an isolate takes twice as long as the next.
    this.turnNow(`${IN.idle} 0`, true, FIRST_TURN);
    this.drain(true, FIRST_TURN);
  }

  /** Compiles a part of the web platform before the guest touches it; done once. */
  prepare(segment: SegmentName): void {
    if (this.#prepared.has(segment)) return;
    this.#prepared.add(segment);
    this.#prepare(segment);
  }

  async load(modules: readonly Module[], entry: string, options: RunOptions): Promise<void> {
    const isolate = this.#isolate;
    try {
      for (const segment of segmentsAtLoad(modules)) this.prepare(segment);
      const compiled = new Map<string, IVM.Module>();
      const pathOf = new Map<IVM.Module, string>();
      const add = async (path: string, code: string) => {
        // A small source compiles faster than a hop to the thread pool and back.
        const module =
          code.length <= SMALL_SOURCE_CHARS
            ? isolate.compileModuleSync(code, { filename: path })
            : await isolate.compileModule(code, { filename: path });
        compiled.set(path, module);
        pathOf.set(module, path);
      };
      for (const { path, code } of modules) await add(path, code);
      const paths = new Set(compiled.keys());
      this.#entry.instantiateSync(this.#context, (specifier, referrer) => {
        if (specifier === SDK_SPECIFIER) return this.#sdk;
        const from = pathOf.get(referrer);
        const path = from === undefined ? entry : resolveModule(specifier, from, paths);
        const module = path === undefined ? undefined : compiled.get(path);
        if (module === undefined) throw new TypeError(importRefusal(specifier, from ?? ENTRY_PATH));
        return module;
      });
      await this.#entry.evaluate({ timeout: options.timeoutMs });
    } catch (error) {
      throw failureOf(error, isolate.isDisposed);
    }
  }

  expectRequests(): void {
    try {
      this.prepare("web");
    } catch (error) {
      throw failureOf(error, this.#isolate.isDisposed);
    }
  }

  async turn(inbox: string, acknowledged: boolean, options: RunOptions): Promise<string> {
    try {
      const run = { timeout: options.timeoutMs };
      return text(await this.#api.turn.apply(undefined, [inbox, acknowledged], run));
    } catch (error) {
      throw failureOf(error, this.#isolate.isDisposed);
    }
  }

  turnNow(inbox: string, acknowledged: boolean, options: RunOptions): string {
    try {
      const run = { timeout: options.timeoutMs };
      return text(this.#api.turn.applySync(undefined, [inbox, acknowledged], run));
    } catch (error) {
      throw failureOf(error, this.#isolate.isDisposed);
    }
  }

  drain(acknowledged: boolean, options: RunOptions): string {
    try {
      return text(
        this.#api.drain.applySync(undefined, [acknowledged], { timeout: options.timeoutMs }),
      );
    } catch (error) {
      throw failureOf(error, this.#isolate.isDisposed);
    }
  }

  async salvage(): Promise<string> {
    try {
      return text(await this.#api.salvage.apply(undefined, [], { timeout: SALVAGE_TIMEOUT_MS }));
    } catch (error) {
      throw failureOf(error, this.#isolate.isDisposed);
    }
  }

  give(chunks: readonly Uint8Array[]): void {
    const options = { arguments: { copy: true }, timeout: COPY_TIMEOUT_MS } as const;
    try {
      this.#api.give.applySync(undefined, [chunks], options);
    } catch (error) {
      throw failureOf(error, this.#isolate.isDisposed);
    }
  }

  take(): Uint8Array[] {
    const options = { result: { copy: true }, timeout: COPY_TIMEOUT_MS } as const;
    try {
      return readBytes(this.#api.take.applySync(undefined, [], options));
    } catch (error) {
      throw failureOf(error, this.#isolate.isDisposed);
    }
  }

  ranMs(): number {
    return this.#isolate.isDisposed ? 0 : Number(this.#isolate.cpuTime) / 1e6;
  }

  async heapBytes(): Promise<number> {
    if (this.#isolate.isDisposed) return 0;
    const heap = await this.#isolate.getHeapStatistics();
    return heap.used_heap_size + heap.externally_allocated_size;
  }

  dispose(): void {
    if (!this.#isolate.isDisposed) this.#isolate.dispose();
  }
}

const SPARE_KINDS = ["plain", "web"] as const;
type SpareKind = (typeof SPARE_KINDS)[number];

export interface IsolateEngineOptions {
  readonly ivm: typeof IVM;
  readonly image: GuestImage;
  /** Isolates of the usual size kept ready: plain ones, and with the web platform compiled. */
  readonly spares: {
    readonly count: Readonly<Record<SpareKind, number>>;
    readonly memoryMb: number;
  };
  readonly onCatastrophe: (message: string) => void;
}

/** What to compile before the modules run; `web` may wait for the first HTTP request. */
function segmentsAtLoad(modules: readonly Module[]): Set<SegmentName> {
  const source = modules.map(({ code }) => code).join("\n");
  const wanted = new Set(segmentsFor(source));
  if (webCanWait(source)) wanted.delete("web");
  return wanted;
}

interface Compiled {
  readonly name: string;
  readonly code: string;
  /** The same text, held once for all isolates. */
  readonly text: IVM.ExternalCopy<string>;
  readonly filename: string;
  readonly cachedData: IVM.ExternalCopy<ArrayBuffer>;
}

export function createIsolateEngine(options: IsolateEngineOptions): Engine {
  const { ivm, image, spares, onCatastrophe } = options;
  // Most of the web platform is one segment. It doubles an isolate's memory, so that only
  // services that mention it get it; its compilation is as long as the rest of a start.
  const ready: Record<SpareKind, IsolateGuest[]> = { plain: [], web: [] };
  const shared = (data: Uint8Array) => new ivm.ExternalCopy(Uint8Array.from(data).buffer);
  const bridge: Compiled = {
    name: "bridge",
    filename: "solo:bridge",
    code: image.bridge.code,
    text: new ivm.ExternalCopy(image.bridge.code),
    cachedData: shared(image.bridge.cachedData),
  };
  const segments: Compiled[] = Object.values(image.prelude).map(
    ({ name, filename, code, cachedData }) => ({
      name,
      filename,
      code,
      text: new ivm.ExternalCopy(code),
      cachedData: shared(cachedData),
    }),
  );

  async function build(memoryMb: number): Promise<IsolateGuest> {
    const isolate = new ivm.Isolate({ memoryLimit: memoryMb, onCatastrophicError: onCatastrophe });
    const context = await isolate.createContext();
    const evaluate = ({ code, filename, cachedData }: Compiled) =>
      isolate
        .compileScriptSync(code, { filename, cachedData })
        .runSync(context, { reference: true });
    const parts: IVM.Reference<any> = evaluate(bridge).applySync(undefined, [], {
      result: { reference: true },
    });
    const host = parts.getSync("host", { reference: true });
    const given = await context.eval("({})", { reference: true });
    // `core` runs now; the rest waits as text, which isolates share, until it is touched.
    for (const { name, text: source } of segments) {
      if (name !== "core") given.setSync(name, source.copyInto());
    }
    const prepare = (name: SegmentName) =>
      given.setSync(name, evaluate(segments.find((each) => each.name === name)!).derefInto());
    evaluate(segments.find(({ name }) => name === "core")!).applySync(undefined, [
      host.derefInto(),
      given.derefInto(),
    ]);
    return new IsolateGuest({
      isolate,
      context,
      prepare,
      api: parts.getSync("api", { reference: true }),
    });
  }

  return {
    async create({ memoryMb, modules }) {
      const kind: SpareKind = segmentsAtLoad(modules).has("web") ? "web" : "plain";
      const spare = memoryMb === spares.memoryMb ? ready[kind].pop() : undefined;
      return spare ?? build(memoryMb);
    },
    async refill() {
      const kind = SPARE_KINDS.find((each) => ready[each].length < spares.count[each]);
      if (kind === undefined) return false;
      const spare = await build(spares.memoryMb);
      if (kind === "web") spare.prepare("web");
      ready[kind].push(spare);
      return true;
    },
  };
}
