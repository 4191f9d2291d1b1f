/**
 * A hostile service as data: what it is, and what must come of it.
 *
 * Whatever is expected of the attacker, the same always holds for everybody else: while it
 * goes on, the kernel and another tenant answer; after it, so does a neighbour of the same
 * tenant, with its state.
 */
export const ATTACK_KINDS = ["loop", "memory", "flood", "escape", "lifecycle"] as const;
export type AttackKind = (typeof ATTACK_KINDS)[number];

/**
 * `ended`: the instance is stopped, by its own failure or by the kernel.
 * `refused`: the deploy is refused and leaves nothing behind.
 * `nothing`: it lives, and its call answers "nothing": that is what it could get hold of.
 * `contained`: it may live or die.
 */
export type Expectation = "ended" | "refused" | "nothing" | "contained";

export interface Attack {
  /** Completes "a service …": unique. */
  readonly name: string;
  readonly kind: AttackKind;
  /** TypeScript; its default export is the service. `calls.attack` is called once it runs. */
  readonly code: string;
  /** What it is updated to before it is called. */
  readonly update?: string;
  readonly expect: Expectation;
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
