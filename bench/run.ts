/**
 * `npm run bench`: measures a real kernel from outside, and beside it, in the same run, the
 * usual ways to do the same work. Options: --only NAME, --quick, --json, --profile DIR.
 *
 * 1. Benchmarks run one after the other, each with a kernel and a data directory of its own.
 * 2. Every answer is checked; a wrong one fails the run.
 */
import { parseArgs } from "node:util";
import { Machine } from "./machine.ts";
import { renderTable, verdict, type Row } from "./report.ts";
import type { Scale } from "./scale.ts";

const LIMIT_MS = { full: 600_000, quick: 90_000 };

const BENCHMARKS: Readonly<Record<string, () => Promise<{ run(scale: Scale): Promise<Row[]> }>>> = {
  deploy: () => import("./measure/deploy.ts"),
  calls: () => import("./measure/calls.ts"),
  "in-process": () => import("./measure/in-process.ts"),
  restart: () => import("./measure/restart.ts"),
  swap: () => import("./measure/swap.ts"),
  rollback: () => import("./measure/rollback.ts"),
  many: () => import("./measure/many.ts"),
  mtls: () => import("./measure/mtls.ts"),
  hibernate: () => import("./measure/hibernate.ts"),
  durable: () => import("./measure/durable.ts"),
  sleepers: () => import("./measure/sleepers.ts"),
  events: () => import("./events.ts"),
  vault: () => import("./measure/vault.ts"),
  "fan-out": () => import("./measure/fan-out.ts"),
  burst: () => import("./measure/burst.ts"),
  fairness: () => import("./measure/fairness.ts"),
};

const NOT_MEASURED = [
  "Not measured: TLS handshakes, several tenants under load at once, large payloads, real networks, hours",
  "of running. Load generator, kernel, cells and peers share the same cores, so rates are of the",
  "whole machine, generator included.",
];

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    profile: { type: "string" },
  },
});

const { only } = values;
if (only !== undefined && !Object.hasOwn(BENCHMARKS, only)) {
  console.error(`There is no benchmark ${only}; there are: ${Object.keys(BENCHMARKS).join(", ")}.`);
  process.exit(2);
}
for (const [signal, code] of [
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const) {
  process.once(signal, () => process.exit(code));
}

const machine = new Machine();
const rows: Row[] = [];
setTimeout(
  () => {
    console.error("The benchmarks took too long and were stopped; the rest is missing.");
    print();
    process.exit(1);
  },
  values.quick ? LIMIT_MS.quick : LIMIT_MS.full,
).unref();

for (const [name, load] of Object.entries(BENCHMARKS)) {
  if (only !== undefined && name !== only) continue;
  const begun = performance.now();
  rows.push(...(await (await load()).run({ quick: values.quick, profileDir: values.profile })));
  console.error(`${name}: ${((performance.now() - begun) / 1000).toFixed(1)} s`);
}
print();

function print(): void {
  if (values.json) {
    console.log(
      JSON.stringify(
        { machine: machine.facts(), rows: rows.map((row) => ({ ...row, verdict: verdict(row) })) },
        undefined,
        2,
      ),
    );
  } else {
    console.log(
      `\n${machine.facts().join("\n")}\n\n${renderTable(rows)}\n\n${NOT_MEASURED.join("\n")}`,
    );
  }
}
