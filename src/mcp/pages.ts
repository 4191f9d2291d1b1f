/** The pages of the documentation that an agent learns from (pure). */

/** Reads one of `docs/`, by its name without `.md`. */
export type ReadPage = (name: PageName) => Promise<string>;

export const PAGES = {
  services: "Write a service: its parts, calls, state, HTTP, timers, secrets, with examples.",
  globals: "What code in a service finds: the web's and Node's globals that are there.",
  errors: "Every error code: what it means and what to do.",
  analysis: "What a deploy is warned of or refused for, and how to fix it.",
  upgrades: "Change a running service: hot swap, codeChange, rollback, rollouts.",
  persistence: "What survives a crash, a restart, an update; sleep.",
  capabilities: "Who may do what: grant, attenuate, delegate; reading a denial.",
  network: "What a service's fetch may reach.",
  limits: "What a service may use, and what happens beyond.",
  vault: "Secrets: how a service uses one without holding it.",
} as const;

export type PageName = keyof typeof PAGES;

export const PAGE_NAMES = Object.keys(PAGES) as readonly PageName[];

export const isPage = (name: unknown): name is PageName =>
  typeof name === "string" && Object.hasOwn(PAGES, name);
