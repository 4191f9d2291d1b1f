/** Rollouts: how a new revision takes over step by step, and what can be said meanwhile. */
import { z } from "zod";
import { serviceId, tenantId } from "#api/fields.ts";
import { field, unary } from "#api/operation.ts";

export const STRATEGIES = ["hot_swap", "rolling", "canary", "blue_green"] as const;
export const SPLITS = ["weight", "key"] as const;
export const ROLLOUT_PHASES = [
  "moving",
  "observing",
  "paused",
  "promoting",
  "rolling_back",
  "promoted",
  "rolled_back",
] as const;

const MAX_STEPS = 20;
const pauseMs = z.uint32().max(86_400_000);
const slots = z.uint32().max(64);

const step = z
  .strictObject({
    percent: field(1, z.uint32().describe("Of the messages; from 1 to 99.")),
    pause_ms: field(2, pauseMs.optional().describe("How long this step is watched.")),
  })
  .meta({ title: "RolloutStep" });

/** Of an update. */
export const strategy = z
  .strictObject({
    type: field(
      1,
      z
        .enum(STRATEGIES)
        .describe(
          "hot_swap: all at once, with probation afterwards. rolling: some instances at a time. canary: a share of the messages first. blue_green: all at once, with the old revision kept for an instant way back.",
        ),
    ),
    max_surge: field(
      2,
      slots.optional().describe("rolling: instances that move at the same time; 1 unless given."),
    ),
    max_unavailable: field(
      3,
      slots
        .optional()
        .describe(
          "rolling: so many more at the same time. Nothing is ever unavailable: an instance serves until its successor does. 0 unless given.",
        ),
    ),
    steps: field(
      4,
      z
        .array(step)
        .max(MAX_STEPS)
        .optional()
        .describe("canary: rising shares of the messages; 10 and 50 unless given."),
    ),
    pause_ms: field(
      5,
      pauseMs
        .optional()
        .describe(
          "How long each step is watched before the next: 1000 (rolling) or 30000 (canary) unless given.",
        ),
    ),
    keep_ms: field(
      6,
      pauseMs
        .optional()
        .describe("blue_green: how long the old revision is kept; 60000 unless given."),
    ),
    split: field(
      7,
      z
        .enum(SPLITS)
        .optional()
        .describe(
          "canary: by weight, or by the message's key, so that a key that has come to the new revision stays there. With the routing `key` the instance that owns a key decides. weight unless given.",
        ),
    ),
    manual: field(
      8,
      z
        .boolean()
        .optional()
        .describe(
          "Each step waits until somebody resumes, promotes or aborts; false unless given.",
        ),
    ),
    min_requests: field(
      9,
      z
        .uint32()
        .optional()
        .describe(
          "A step is not left before the new revision has been sent so many messages in it; 0 unless given.",
        ),
    ),
  })
  .describe("How the new revision takes over; a hot swap unless given.")
  .meta({ title: "RolloutStrategy" });

export const rollout = z
  .strictObject({
    id: field(1, z.string()),
    strategy: field(2, z.enum(STRATEGIES)),
    phase: field(
      3,
      z
        .enum(ROLLOUT_PHASES)
        .describe("promoted and rolled_back are the ends; the others are under way."),
    ),
    step: field(4, z.uint32().describe("From 1.")),
    steps: field(5, z.uint32()),
    percent: field(
      6,
      z
        .uint32()
        .optional()
        .describe("Of the messages that go to the new revision; absent when its slots decide."),
    ),
    slots: field(7, z.array(z.uint32()).describe("Those that run the new revision.")),
    from: field(8, z.string().describe("The revision that is current until it is promoted.")),
    to: field(9, z.string()),
    since: field(10, z.string().describe("When the phase began; UTC, ISO 8601.")),
    started_at: field(11, z.string()),
    reason: field(12, z.string().optional().describe("Why it is paused or went back.")),
  })
  .meta({ title: "Rollout" });

const input = z.strictObject({
  tenant_id: field(1, tenantId),
  service_id: field(2, serviceId),
});

export const getRollout = unary({
  name: "GetRollout",
  summary: "The rollout of a service that is under way, or its last one.",
  input,
  output: rollout,
  permission: "read",
  resource: ({ service_id }) => `service:${service_id}`,
  errors: ["service_not_found", "not_found"],
  http: { method: "GET", path: "/services/{service_id}/rollout" },
  cli: { command: "rollout status", custom: true },
});

export const pauseRollout = unary({
  name: "PauseRollout",
  summary: "Stay at the present step, which is still watched.",
  input,
  output: rollout,
  permission: "deploy",
  resource: ({ service_id }) => `service:${service_id}`,
  errors: ["service_not_found", "not_found", "conflict"],
  http: { method: "POST", path: "/services/{service_id}/rollout/pause" },
  cli: { command: "rollout pause", positional: ["service_id"] },
});

export const resumeRollout = unary({
  name: "ResumeRollout",
  summary: "Go on with a paused rollout; one step on with a manual one.",
  input,
  output: rollout,
  permission: "deploy",
  resource: ({ service_id }) => `service:${service_id}`,
  errors: ["service_not_found", "not_found", "conflict"],
  http: { method: "POST", path: "/services/{service_id}/rollout/resume" },
  cli: { command: "rollout resume", positional: ["service_id"] },
});

export const promoteRollout = unary({
  name: "PromoteRollout",
  summary: "Give the new revision everything now, and make it current.",
  input,
  output: rollout,
  permission: "deploy",
  resource: ({ service_id }) => `service:${service_id}`,
  errors: ["service_not_found", "not_found", "conflict"],
  http: { method: "POST", path: "/services/{service_id}/rollout/promote" },
  cli: { command: "rollout promote", positional: ["service_id"] },
});

export const abortRollout = unary({
  name: "AbortRollout",
  summary: "Give everything back to the old revision.",
  description:
    "The state comes along as with a rollback: through `downgrade` of the new revision if it has one, else through `codeChange` of the old one; when neither takes it, the state from before.",
  input,
  output: rollout,
  permission: "deploy",
  resource: ({ service_id }) => `service:${service_id}`,
  errors: ["service_not_found", "not_found", "conflict"],
  http: { method: "POST", path: "/services/{service_id}/rollout/abort" },
  cli: { command: "rollout abort", positional: ["service_id"] },
});
