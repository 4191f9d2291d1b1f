/** Examples that the documents show; a test checks them against the catalogue's schemas. */

export interface Example {
  readonly input: Readonly<Record<string, unknown>>;
  readonly output: Readonly<Record<string, unknown>>;
}

const COUNTER = `export default {
  init: () => ({ count: 0 }),
  calls: {
    increment(solo, by = 1) { solo.state.count += by; return solo.state.count; },
  },
};
`;

const DEPLOYED = {
  tenant_id: "default",
  service_id: "counter",
  revision: "r_4f1c09d2a8b35e67",
  state: "running",
  instance_id: "i_mb2k4x0q9f3a1c77d2",
  started_in_ms: 3.4,
};

/** By operation. Fields that stand in the path are not part of the input. */
export const EXAMPLES: Readonly<Record<string, Example>> = {
  Deploy: {
    input: {
      service_id: "counter",
      code: COUNTER,
      persistence: "hybrid",
      limits: { memory_mb: 64 },
    },
    output: DEPLOYED,
  },
  Update: { input: { code: COUNTER }, output: DEPLOYED },
  Call: { input: { args: [2], timeout_ms: 1000 }, output: { reply: 2 } },
  Cast: { input: { args: [] }, output: { accepted: true } },
};
