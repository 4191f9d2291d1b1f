/**
 * Short forms of input, put into the long form that the schemas describe (pure).
 *
 * 1. A short form is text or a number in the place of an object of which that says everything:
 *    `"api_key"` for `{"name": "api_key"}`. Nothing else is rewritten.
 * 2. What is not a short form goes on as it is: the schema judges it.
 */
type Long = (text: string) => object;

const LISTS: Readonly<Record<string, Long>> = {
  capabilities: (resource) => ({ resources: [resource] }),
  secrets: (name) => ({ name }),
};

const FIELDS: Readonly<Record<string, Long>> = {
  strategy: (type) => ({ type: type.replaceAll("-", "_") }),
};

/** Operations that take a service's settings. */
const SPECS: ReadonlySet<string> = new Set(["Deploy", "Update", "Validate"]);

export function longForm(operation: string, input: unknown): unknown {
  if (!SPECS.has(operation) || typeof input !== "object" || input === null) return input;
  const given = input as Record<string, unknown>;
  const changed: Record<string, unknown> = {};
  for (const [field, long] of Object.entries(FIELDS)) {
    const value = own(given, field);
    if (typeof value === "string") changed[field] = long(value);
    else if (value !== undefined) changed[field] = withSteps(value);
  }
  for (const [field, long] of Object.entries(LISTS)) {
    const list = own(given, field);
    if (Array.isArray(list) && list.some((each) => typeof each === "string")) {
      changed[field] = list.map((each: unknown) => (typeof each === "string" ? long(each) : each));
    }
  }
  return Object.keys(changed).length === 0 ? input : { ...given, ...changed };
}

/** A rollout's steps may be shares: `[10, 50]`. */
function withSteps(strategy: unknown): unknown {
  if (typeof strategy !== "object" || strategy === null) return strategy;
  const steps = own(strategy as Record<string, unknown>, "steps");
  if (!Array.isArray(steps)) return strategy;
  return {
    ...strategy,
    steps: steps.map((each: unknown) => (typeof each === "number" ? { percent: each } : each)),
  };
}

const own = (of: Record<string, unknown>, field: string): unknown =>
  Object.hasOwn(of, field) ? of[field] : undefined;
