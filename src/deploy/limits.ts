/**
 * What one service may use, as it is deployed with it.
 *
 * 1. A service never gets more than its tenant's ceilings; asking for more is refused by the
 *    field's name.
 * 2. 0 stands for no limit where `NONE_IS_ZERO` says so, and nowhere else.
 */
export type MailboxPolicy = "reject" | "drop_oldest" | "kill";
type LimitAction = "warn" | "throttle" | "kill";

/** Numbers, by the name they have in a deploy request. */
export const LIMIT_NAMES = {
  memoryMb: "memory_mb",
  callTimeoutMs: "call_timeout_ms",
  mailbox: "mailbox",
  stateBytes: "state_bytes",
  cpuPercent: "cpu_percent",
  timers: "timers",
  openRequests: "open_requests",
  logLinesPerSecond: "log_lines_per_second",
  logLineBytes: "log_line_bytes",
  logBytes: "log_bytes",
  storageBytes: "storage_bytes",
  messageBytes: "message_bytes",
  kvValueBytes: "kv_value_bytes",
  kvKeys: "kv_keys",
  hostRequestsPerSecond: "host_requests_per_second",
} as const;

export type LimitNumber = keyof typeof LIMIT_NAMES;
export type LimitNumbers = Readonly<Record<LimitNumber, number>>;

const LIMIT_NUMBERS = Object.keys(LIMIT_NAMES) as LimitNumber[];

/** What happens at a limit, where there is a choice. */
export const LIMIT_ACTION_NAMES = {
  cpu: "cpu",
  openRequests: "open_requests",
  timers: "timers",
  logs: "logs",
  storage: "storage",
  hostRequests: "host_requests",
} as const;

export type LimitActions = Readonly<Record<keyof typeof LIMIT_ACTION_NAMES, LimitAction>>;

export interface Limits extends LimitNumbers {
  readonly mailboxPolicy: MailboxPolicy;
  readonly actions: LimitActions;
}

type Named<N extends Readonly<Record<string, string>>, T> = {
  readonly [K in N[keyof N]]?: T | undefined;
};

/** `limits` of a deploy request; see src/api/limits.ts. */
export type LimitsInput = Named<typeof LIMIT_NAMES, number> & {
  readonly mailbox_policy?: MailboxPolicy | undefined;
  readonly actions?: Named<typeof LIMIT_ACTION_NAMES, LimitAction> | undefined;
};

/** Limits for which a tenant may have a ceiling. */
const CEILINGS = [
  "memoryMb",
  "callTimeoutMs",
  "mailbox",
  "cpuPercent",
  "timers",
  "openRequests",
  "logLinesPerSecond",
  "logBytes",
  "storageBytes",
  "kvKeys",
  "hostRequestsPerSecond",
] as const satisfies readonly LimitNumber[];

/** The most that a tenant's services may ask for; Infinity: as much as the field takes. */
export type Ceilings = Readonly<Record<(typeof CEILINGS)[number], number>>;

const NONE_IS_ZERO: ReadonlySet<LimitNumber> = new Set<LimitNumber>(["cpuPercent"]);

/** The number as a bound to compare with. */
export const asBound = (limit: LimitNumber, value: number): number =>
  value === 0 && NONE_IS_ZERO.has(limit) ? Infinity : value;

export interface ResolveLimitsOptions {
  readonly input: LimitsInput | undefined;
  /** Where the input says nothing: what the service has now, or the tenant's defaults. */
  readonly otherwise: Limits;
  readonly ceilings: Ceilings;
  readonly refuse: (field: string, message: string) => void;
}

export function resolveLimits(options: ResolveLimitsOptions): Limits {
  const { input, otherwise, ceilings, refuse } = options;
  const numbers = Object.fromEntries(
    LIMIT_NUMBERS.map((limit) => {
      const name = LIMIT_NAMES[limit];
      return [limit, input?.[name] ?? otherwise[limit]];
    }),
  ) as Record<LimitNumber, number>;
  for (const limit of CEILINGS) {
    if (asBound(limit, numbers[limit]) <= ceilings[limit]) continue;
    const asked = numbers[limit] === 0 ? "without bound" : numbers[limit];
    refuse(
      `limits.${LIMIT_NAMES[limit]}`,
      `is ${asked}; limits.max_${LIMIT_NAMES[limit]} allows this tenant's services ${ceilings[limit]}`,
    );
  }
  const actions = Object.fromEntries(
    Object.entries(LIMIT_ACTION_NAMES).map(([action, name]) => [
      action,
      input?.actions?.[name] ?? otherwise.actions[action as keyof LimitActions],
    ]),
  ) as unknown as LimitActions;
  return Object.freeze({
    ...numbers,
    mailboxPolicy: input?.mailbox_policy ?? otherwise.mailboxPolicy,
    actions: Object.freeze(actions),
  });
}

/** A tenant's default never passes its own ceiling: nobody asked for more. */
export function belowCeilings(defaults: Limits, ceilings: Ceilings): Limits {
  const lowered = CEILINGS.filter((limit) => asBound(limit, defaults[limit]) > ceilings[limit]).map(
    (limit) => [limit, ceilings[limit]] as const,
  );
  return { ...defaults, ...(Object.fromEntries(lowered) as Partial<LimitNumbers>) };
}
