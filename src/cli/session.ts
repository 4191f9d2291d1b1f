/** What a running command has: its output, the global options, and the kernel once it asks. */
import { readFileSync } from "node:fs";
import { access } from "node:fs/promises";
import { resolve } from "node:path";
import type { LoadedConfig } from "#config/load.ts";
import type { Client, RequestOptions } from "#client/client.ts";
import type { Output } from "#cli/output.ts";
import type { CliPowers, StartFlags } from "#cli/powers.ts";
import { type Paint, coloured, plain } from "#cli/render/paint.ts";

export interface GlobalOptions {
  readonly json?: boolean;
  readonly url?: string;
  readonly tokenFile?: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly dataDir?: string;
  readonly config?: string;
  readonly tenant?: string;
  /** Milliseconds. */
  readonly timeout?: number;
  /** False with --no-color. */
  readonly color?: boolean;
}

export const wantsColour = (powers: CliPowers, color: boolean | undefined): boolean =>
  powers.isTTY && color !== false && !powers.env["NO_COLOR"];

export class Session {
  readonly powers: CliPowers;
  readonly global: GlobalOptions;
  readonly out: Output;
  readonly paint: Paint;
  /** Fires when the command shall end: it was told to, or nobody reads any more. */
  readonly signal: AbortSignal;

  constructor(powers: CliPowers, global: GlobalOptions, out: Output) {
    this.powers = powers;
    this.global = global;
    this.out = out;
    this.paint = wantsColour(powers, global.color) ? coloured : plain;
    this.signal = AbortSignal.any([out.closed, ...(powers.signal ? [powers.signal] : [])]);
  }

  get json(): boolean {
    return this.global.json === true;
  }

  get request(): RequestOptions {
    return { signal: this.signal };
  }

  /** A path as the user wrote it. */
  path(path: string): string {
    return resolve(this.powers.cwd, path);
  }

  /** A remark for people on a terminal; never part of the result. */
  remark(text: string): void {
    if (this.powers.isTTY && !this.json) this.powers.stderr.write(`${this.paint("dim", text)}\n`);
  }

  async dataDir(): Promise<string> {
    const named = this.global.dataDir ?? this.powers.env["SOLO_DATA_DIR"];
    if (named) return this.path(named);
    // The configuration is read only where there is one: loading its schema takes its time.
    if (!(await this.#hasConfigFile())) return this.path("data");
    return (await this.loadConfig()).config.solo.data_dir;
  }

  configFlags(): StartFlags {
    const { config, dataDir } = this.global;
    return {
      ...(config !== undefined && { config }),
      ...(dataDir !== undefined && { "data-dir": dataDir }),
    };
  }

  /** The configuration as `solo start` would have it here. */
  async loadConfig(): Promise<LoadedConfig> {
    const { loadConfig } = await import("#config/load.ts");
    const { env, cwd } = this.powers;
    const read = (path: string) => readFileSync(path, "utf8");
    return loadConfig({ argvFlags: { ...this.configFlags() }, env, cwd, readFile: read });
  }

  async client(): Promise<Client> {
    const [{ findKernel }, { createClient }] = await Promise.all([
      import("#client/find-kernel.ts"),
      import("#client/client.ts"),
    ]);
    const { env, fetch } = this.powers;
    const { url, tokenFile, tenant, timeout } = this.global;
    const file = (path: string | undefined) => (path === undefined ? undefined : this.path(path));
    const found = await findKernel({
      dataDir: await this.dataDir(),
      env,
      url,
      tokenFile: file(tokenFile),
      ca: file(this.global.ca),
      cert: file(this.global.cert),
      key: file(this.global.key),
    });
    return createClient({
      ...found,
      ...(tenant !== undefined && { tenant }),
      ...(timeout !== undefined && { timeoutMs: timeout }),
      ...(fetch !== undefined && { fetch }),
    });
  }

  async #hasConfigFile(): Promise<boolean> {
    if (this.global.config !== undefined || this.powers.env["SOLO_CONFIG"]) return true;
    return access(this.path("config.toml")).then(
      () => true,
      () => false,
    );
  }
}
