/** A guest without its isolate: the parts behind the wall are plain TypeScript. */
import type { ServiceDefinition, Solo } from "../../src/sdk/index.ts";
import { createHttp, type Http } from "#cell/guest/http.ts";
import { FLAG, splitLine } from "#cell/guest/lines.ts";
import { createMailbox, type Mailbox } from "#cell/guest/mailbox.ts";
import { createOutbox, type Outbox } from "#cell/guest/outbox.ts";

export interface Said {
  readonly op: string;
  readonly id: number;
  readonly rest: string;
}

/** The lines of a rendered turn. */
export function linesOf(rendered: string): Said[] {
  const text = rendered.slice(1);
  return text === "" ? [] : text.split("\n").map((line) => splitLine(line)!);
}

/** Byte arrays wait to be taken. */
export const hasBytes = (rendered: string): boolean => rendered[0] === FLAG.bytes;

/** Takes everything said since the last time, as the host does. */
export function hear(outbox: Outbox): Said[] {
  const said = linesOf(outbox.render());
  outbox.acknowledge();
  return said;
}

export interface Guest {
  readonly outbox: Outbox;
  readonly http: Http;
  readonly mailbox: Mailbox;
  /** What the guest has said since it was last heard, as `op id`. */
  said(): string[];
  hear(): Said[];
}

export function guest(definition: ServiceDefinition, settled: () => void = () => {}): Guest {
  const outbox = createOutbox();
  const http = createHttp(outbox);
  const mailbox = createMailbox({ outbox, http, definition, solo: {} as Solo, settled });
  return {
    outbox,
    http,
    mailbox,
    hear: () => hear(outbox),
    said: () => hear(outbox).map(({ op, id }) => `${op} ${id}`),
  };
}
