/**
 * A hostile service as data: what it is, and what must come of it.
 *
 * 1. What must come of it is exact: what its caller hears, and how its instance ends.
 * 2. Whatever is expected of the attacker, the same always holds for everybody else: while it
 *    goes on, the kernel and another tenant answer; after it, so does a neighbour of the same
 *    tenant, with its state.
 */
export const ATTACK_KINDS = [
  "loop",
  "memory",
  "flood",
  "escape",
  "value",
  "stream",
  "source",
  "state",
  "lifecycle",
] as const;
export type AttackKind = (typeof ATTACK_KINDS)[number];

export interface Attack {
  /** Completes "a service …": unique. */
  readonly name: string;
  readonly kind: AttackKind;
  /** TypeScript; its default export is the service. `calls.attack` is called once it runs. */
  readonly code?: string;
  /** Instead of `code`: several files, with index.ts among them. */
  readonly files?: Readonly<Record<string, string>>;
  /** What it is updated to before it is called. */
  readonly update?: string;
  readonly persistence?: "durable";
  /** See `parseOutcomes`. */
  readonly expect: string;
  /** What the deploy gives it; what every service has, unless given. */
  readonly capabilities?: readonly { readonly resources: string[] }[];
  /** Part of the short suite that runs every day: one of each family. */
  readonly everyDay?: true;
}

/** A service whose call does this. */
export const called = (body: string): string =>
  `export default { calls: { async attack(solo: any) { ${body} } } };`;

/** A service that does this while it is loaded. */
export const loaded = (body: string): string =>
  `${body}\nexport default { calls: { attack: () => "loaded" } };`;

/** One for the short suite. */
export const everyDay = (attack: Attack): Attack => ({ ...attack, everyDay: true });
