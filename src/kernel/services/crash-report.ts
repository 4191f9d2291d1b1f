/** The payload of service_crashed, and what status shows of it (K7). */
import type { Compiler } from "#kernel/compiler.ts";
import type { InstanceCrash } from "#kernel/services/outcomes.ts";
import type { CompiledModule } from "#wire/compiler.ts";

const MAX_STACK_CHARS = 8 * 1024;
const MAX_MESSAGE_CHARS = 2 * 1024;

export interface CrashReport {
  readonly at: string;
  readonly reason: string;
  readonly message: string;
  readonly stack: string;
  readonly event_id?: number;
}

export async function describeCrash(options: {
  crash: InstanceCrash;
  modules: readonly CompiledModule[];
  compiler: Compiler;
  wallMs: number;
}): Promise<CrashReport> {
  const { crash, modules, compiler, wallMs } = options;
  const { reason, name, message, stack } = crash.down;
  const maps = Object.fromEntries(modules.map(({ path, map }) => [path, map]));
  const text = String(stack).slice(0, MAX_STACK_CHARS);
  return {
    at: new Date(wallMs).toISOString(),
    reason: String(reason),
    message: `${name === "" ? "" : `${name}: `}${message}`.slice(0, MAX_MESSAGE_CHARS),
    stack: text === "" ? "" : await compiler.mapStack({ stack: text, maps }),
  };
}
