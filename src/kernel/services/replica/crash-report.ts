/** The payload of service_crashed, and what status shows of it (K7). */
import type { InstanceCrash } from "#kernel/services/instance/outcomes.ts";
import type { ServicePowers } from "#kernel/services/powers.ts";
import type { Revision } from "#kernel/services/revision.ts";

const MAX_STACK_CHARS = 8 * 1024;
const MAX_MESSAGE_CHARS = 2 * 1024;

export interface CrashReport {
  readonly at: string;
  readonly reason: string;
  readonly message: string;
  readonly stack: string;
  /** What was being handled. */
  readonly last_messages?: string[];
  /** It does not count against the restart intensity. */
  readonly innocent?: boolean;
  /** One of several that may have ended the process around it. */
  readonly suspect?: boolean;
  readonly event_id?: number;
}

/** What it said of itself, in one line. */
export const crashText = ({ down: { name, message } }: InstanceCrash): string =>
  `${name === "" ? "" : `${name}: `}${message}`.slice(0, MAX_MESSAGE_CHARS);

/** The crash with its stack in the agent's source. */
export async function describeCrash(options: {
  crash: InstanceCrash;
  revision: Pick<Revision, "code">;
  powers: Pick<ServicePowers, "compilers" | "clock">;
}): Promise<CrashReport> {
  const { crash, revision, powers } = options;
  const { reason, stack } = crash.down;
  const modules = stack === "" ? [] : await revision.code.modules();
  const maps = Object.fromEntries(modules.map(({ path, map }) => [path, map]));
  const text = String(stack).slice(0, MAX_STACK_CHARS);
  const { tenant } = revision.code;
  return {
    at: new Date(powers.clock.wallMs()).toISOString(),
    reason: String(reason),
    message: crashText(crash),
    stack: text === "" ? "" : await powers.compilers.mapStack(tenant, { stack: text, maps }),
    last_messages: [...crash.handlers],
    ...(crash.blame === "suspect" && { suspect: true }),
  };
}
