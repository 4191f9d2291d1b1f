/**
 * The guest's end of the wall. The host calls `turn` with lines, gets lines back, and that
 * is all there is between them.
 *
 * 1. The guest's code reaches nothing of the host: no function here calls out.
 * 2. A turn that throws loses nothing: `salvage` renders what was said so far.
 */
import { rngChacha20 } from "@noble/ciphers/chacha.js";
import type { ServiceDefinition, Solo } from "../../sdk/index.ts";
import type { SnapshotWish } from "../../wire/messages.ts";
import type { GuestHost, LogLevel } from "../prelude/host.ts";
import { createHttp } from "./http.ts";
import { ADOPT_GLOBAL, IN, MAX_STARTED_CHARS, OUT, splitLine, type GuestSetup } from "./lines.ts";
import { createMailbox, type Mailbox } from "./mailbox.ts";
import { runSelfTest, takeOver } from "./handover.ts";
import { createOutbox } from "./outbox.ts";
import { createRequests } from "./requests.ts";
import { createSolo, type Holder } from "./solo.ts";
import { decodeState } from "./state.ts";
import type { Adoption } from "../../wire/messages.ts";
import { describeThrown } from "./thrown.ts";
import { createTimers } from "./timers.ts";
import { createTold, type Told } from "./told.ts";

const { stringify: toJson, parse: fromJson } = JSON;
const MAX_LOG_CHARS = 16 * 1024;
/** What only counts when a service is upgraded. */
const UPGRADE_PARTS = ["codeChange", "downgrade", "checkState", "selfTest"] as const;
const FUNCTIONS = ["init", "info", "fetch", "terminate", ...UPGRADE_PARTS] as const;
const PARTS = ["init", "calls", "casts", "info", "fetch", "codeChange", "terminate"] as const;
const KNOWN: readonly string[] = [...PARTS, ...UPGRADE_PARTS, "version", "concurrent"];
const isKnown = (key: string): boolean => KNOWN.includes(key);

export interface GuestApi {
  /** Takes lines (and the byte arrays given before), returns a flag digit and lines. */
  turn(inbox: string, acknowledged: boolean): string;
  /** Lines that continuations added after the last turn. */
  drain(acknowledged: boolean): string;
  /** After an exception: everything not acknowledged, then what is at hand and waiting. */
  salvage(): string;
  give(chunks: Uint8Array[]): void;
  take(): Uint8Array[];
}

export function createBridge(): { host: GuestHost; api: GuestApi } {
  const outbox = createOutbox();
  const requests = createRequests(outbox);
  const timers = createTimers(outbox, (error) => crash(error));
  const http = createHttp(outbox);
  const holder: Holder = { state: {}, restored: false };
  let setup: GuestSetup | undefined;
  let definition: ServiceDefinition | undefined;
  let mailbox: Mailbox | undefined;
  let solo: Solo | undefined;
  let random: ReturnType<typeof rngChacha20> | undefined;
  let given: Uint8Array[] = [];
  let told: Told | undefined;
  let busy = 0;

  const log = (level: LogLevel, text: string) =>
    void outbox.add(OUT.log, 0, toJson({ level, text: text.slice(0, MAX_LOG_CHARS) }));

  const host: GuestHost = {
    send: () => {},
    request: (method, args, signal) => requests.send(method, args, signal),
    setTimer: (delayMs, repeat, run) => timers.start(delayMs, repeat, run),
    clearTimer: (id) => timers.stop(id),
    log,
    entropy: (bytes) => bytes.set((random ??= seeded()).randomBytes(bytes.length)),
    now: () => Date.now(),
  };

  const seeded = () => rngChacha20(Uint8Array.from(setup!.seed));

  function crash(error: unknown): void {
    if (mailbox === undefined) outbox.add(OUT.crashed, 0, toJson(describeThrown(error)));
    else mailbox.crash(error);
  }

  const isIdle = (): boolean =>
    busy === 0 &&
    mailbox?.pending === 0 &&
    mailbox.waiting.length === 0 &&
    timers.active === 0 &&
    requests.open === 0 &&
    http.streaming === 0;

  async function start(service: ServiceDefinition): Promise<void> {
    const { state, args, durable, stateBytes, excluded } = setup!;
    const tells = createTold({
      outbox,
      stateBytes,
      excluded,
      state: () => holder.state as unknown,
      idle: isIdle,
    });
    solo = createSolo(setup!, holder, { requests, log: console, signal: () => mailbox!.signal });
    mailbox = createMailbox({
      outbox,
      http,
      definition: service,
      solo,
      settled: () => {
        if (durable) tells.tell();
      },
    });
    const migrated = (old: unknown, from: string | undefined): unknown =>
      service.codeChange ? service.codeChange(old, from) : old;
    if (state.from === "revision") {
      holder.state = await migrated(decodeState(state.state), state.version);
    } else if (state.from === "asleep") {
      holder.state = decodeState(state.state);
      tells.knows(state.state);
    } else if (state.from !== "handover") {
      holder.restored = state.from === "stored";
      const made = service.init ? await service.init(solo, args) : undefined;
      if (made !== undefined) holder.state = made;
    }
    if (state.from === "stored") {
      const stored = decodeState(state.state);
      const restored = state.migrate ? await migrated(stored, state.version) : stored;
      holder.state = tells.completed(restored, holder.state);
      if (!state.migrate) tells.knows(state.state);
    }
    if (durable && state.from !== "handover") tells.tell();
    told = tells;
    definition = service;
    const started = {
      ...(typeof service.version === "string" && { version: service.version.slice(0, 64) }),
      handlers: handlersOf(service),
      traits: [...UPGRADE_PARTS, "concurrent" as const].filter((part) => service[part]),
    };
    const text = toJson(started);
    if (text.length > MAX_STARTED_CHARS) {
      throw new RangeError(
        `The names of the ${started.handlers.length} handlers take ${text.length} characters; at most ${MAX_STARTED_CHARS} are kept. Take what differs as an argument.`,
      );
    }
    outbox.add(OUT.started, 0, text);
  }

  async function adoptState(adoption: Adoption): Promise<void> {
    const { state, shapes } = await takeOver(definition!, adoption);
    holder.state = state;
    const text = told!.took(adoption.whole === true);
    if (adoption.selfTest === true) await runSelfTest(definition!, solo!);
    if (shapes !== undefined) outbox.add(OUT.shapes, 0, toJson(shapes));
    if (outbox.add(OUT.adopted, 0, text)) return;
    throw new RangeError(`The state is ${text.length} characters encoded: more than one line.`);
  }

  /** Work of the service's own outside any message; an exception is the end of the instance. */
  function runApart(work: Promise<void>): void {
    busy += 1;
    work.then(
      () => void (busy -= 1),
      (error: unknown) => {
        busy -= 1;
        outbox.add(OUT.crashed, 0, toJson(describeThrown(error)));
      },
    );
  }

  const isMessage = (op: string): boolean =>
    op === IN.call || op === IN.cast || op === IN.info || op === IN.fetch;

  function accept(op: string, id: number, rest: string): void {
    if (isMessage(op)) return mailbox!.push(op, id, rest);
    switch (op) {
      case IN.setup:
        setup = fromJson(rest) as GuestSetup;
        return;
      case IN.chunk:
        return http.requestChunk(id, given.shift());
      case IN.end:
        return http.requestChunk(id, undefined);
      case IN.credit:
        return http.credit(id, Number(rest));
      case IN.cancel:
        return mailbox?.cancel(id);
      case IN.answer:
        return requests.answer(id, rest);
      case IN.refusal:
        return requests.refuse(id, rest);
      case IN.answerChunk:
        return requests.answerChunk(id, given.shift());
      case IN.answerEnd:
        return requests.answerChunk(id, undefined);
      case IN.timer:
        return timers.fire(id);
      case IN.snapshot:
        return told?.answer(id, rest as SnapshotWish);
      case IN.adopt:
        return runApart(adoptState(fromJson(rest) as Adoption));
      case IN.terminate:
        return void terminate(fromJson(rest) as string);
    }
  }

  async function terminate(reason: string): Promise<void> {
    busy += 1;
    try {
      await definition?.terminate?.(solo!, reason);
      if (setup!.keepState) told?.tell();
    } catch (error) {
      const { name, message } = describeThrown(error);
      log("error", `terminate failed: ${name}: ${message}`);
    }
    outbox.add(OUT.terminated, 0);
    busy -= 1;
  }

  function forgetSaid(): void {
    outbox.acknowledge();
    http.roomAgain();
  }

  const api: GuestApi = {
    turn(inbox, acknowledged) {
      if (acknowledged) forgetSaid();
      for (const text of inbox.split("\n")) {
        const line = splitLine(text);
        if (line !== undefined) accept(line.op, line.id, line.rest);
      }
      return outbox.render();
    },
    drain(acknowledged) {
      if (acknowledged) forgetSaid();
      return outbox.render();
    },
    salvage() {
      const at = { current: mailbox?.current ?? 0, waiting: mailbox?.waiting ?? [] };
      return `${toJson(at)}\n${outbox.render()}`;
    },
    give(chunks) {
      given = given.length === 0 ? chunks : given.concat(chunks);
    },
    take: () => outbox.takeBytes(),
  };

  /** Called once, by the entry module, with the service's namespace. */
  function adopt(namespace: { default?: unknown }): void {
    runApart(start(check(namespace)));
  }
  Object.defineProperty(globalThis, ADOPT_GLOBAL, {
    configurable: true,
    value(namespace: { default?: unknown }) {
      Reflect.deleteProperty(globalThis, ADOPT_GLOBAL);
      adopt(namespace);
    },
  });
  return { host, api };
}

/** The default export, or a TypeError that says what to export instead. */
function check(namespace: { default?: unknown }): ServiceDefinition {
  const service = namespace.default;
  if (service === undefined) {
    throw new TypeError(
      "The module has no default export. Add: export default defineService({ … }) or export default { fetch }.",
    );
  }
  if (typeof service !== "object" || service === null) {
    throw new TypeError(
      `The default export is a ${service === null ? "null" : typeof service}, not a service. Export an object with calls, casts, fetch, info or init.`,
    );
  }
  const definition = service as ServiceDefinition;
  // Every part is optional; one that is misspelt is not.
  const keys = Object.keys(definition);
  if (!PARTS.some((part) => definition[part] !== undefined) && !keys.every(isKnown)) {
    throw new TypeError(
      `The default export has ${keys
        .filter((key) => !isKnown(key))
        .slice(0, 5)
        .join(", ")}, but none of ${PARTS.join(", ")}: there is nothing to run.`,
    );
  }
  for (const part of FUNCTIONS) {
    const value = definition[part];
    if (value !== undefined && typeof value !== "function") {
      throw new TypeError(`${part} must be a function; it is a ${typeof value}.`);
    }
  }
  for (const part of ["calls", "casts"] as const) {
    for (const [name, handler] of Object.entries(definition[part] ?? {})) {
      if (typeof handler !== "function") {
        throw new TypeError(`${part}.${name} must be a function; it is a ${typeof handler}.`);
      }
    }
  }
  return definition;
}

const handlersOf = (service: ServiceDefinition): string[] => [
  ...Object.keys(service.calls ?? {}).map((name) => `calls.${name}`),
  ...Object.keys(service.casts ?? {}).map((name) => `casts.${name}`),
  ...(service.info ? ["info"] : []),
  ...(service.fetch ? ["fetch"] : []),
];
