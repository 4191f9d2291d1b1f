/** What the command line may touch; the entry point hands it in. */
import type { ReadPage } from "#mcp/pages.ts";

/** What `solo start` was told: flags by their names without dashes, as #config reads them. */
export interface StartFlags {
  readonly config?: string;
  readonly "data-dir"?: string;
  readonly "http-port"?: number;
  readonly "listen-port"?: number;
  readonly "metrics-port"?: number;
  readonly host?: string;
  readonly "log-level"?: string;
}

export interface DoctorRequest {
  readonly attack: boolean;
  /** Takes text for people as it becomes known. */
  readonly tell: (text: string) => Promise<void>;
  readonly signal: AbortSignal;
}

export interface DoctorOutcome {
  /** Every essential wall stands, and every attack held. */
  readonly ok: boolean;
  readonly report: Readonly<Record<string, unknown>>;
}

export interface CliPowers {
  /** The arguments after `solo`. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly stdin: AsyncIterable<Uint8Array | string>;
  /** Asks on the terminal for a line that is not shown; only where standard input is one. */
  readonly askHidden?: (prompt: string) => Promise<string>;
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
  /** Whether standard output is a terminal, and how wide it is. */
  readonly isTTY: boolean;
  readonly columns?: number | undefined;
  readonly version: string;
  /** Runs a kernel until it stops; its exit code. */
  readonly startKernel: (flags: StartFlags) => Promise<number>;
  /** Looks at the walls that this machine can build. */
  readonly doctor: (request: DoctorRequest) => Promise<DoctorOutcome>;
  /** The documentation, for `solo mcp`. */
  readonly readPage: ReadPage;
  /** Ends what follows (`events -f`, `logs -f`) in an orderly way. */
  readonly signal?: AbortSignal;
  readonly fetch?: typeof globalThis.fetch;
}
