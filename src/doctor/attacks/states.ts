/** States that are hostile to whoever keeps, carries or migrates them. */
import { everyDay, type Attack } from "#doctor/attack.ts";

/** Its state is on disk before its call is answered. */
const keeps = (name: string, body: string, expect: string): Attack => ({
  name,
  kind: "state",
  code: `export default { init: () => ({ kept: 1 }), calls: { attack(solo: any) { ${body} return 1; } } };`,
  persistence: "durable",
  expect,
});

const migrates = (name: string, update: string, expect: string): Attack => ({
  name,
  kind: "state",
  code: "export default { init: () => ({ kept: 1 }), calls: { attack: (solo: any) => solo.state.kept } };",
  update: `export default { ${update}, calls: { attack: (solo: any) => solo.state?.kept ?? "lost" } };`,
  persistence: "durable",
  expect,
});

export const states: readonly Attack[] = [
  everyDay(
    keeps("keeps a function", "solo.state = { run: () => 1 };", "service_crashed → exception"),
  ),
  keeps("keeps a symbol", "solo.state = Symbol('x');", "service_crashed → exception"),
  keeps(
    "keeps a getter that loops",
    "solo.state = { get x() { for (;;); } };",
    "deadline_exceeded → timeout",
  ),
  keeps(
    "keeps a proxy that loops",
    "solo.state = new Proxy({}, { ownKeys() { for (;;); } });",
    "deadline_exceeded → timeout",
  ),
  keeps(
    "keeps what is nested two hundred thousand deep",
    "let s: any = {}; for (let i = 0; i < 200_000; i += 1) s = { s }; solo.state = s;",
    "deadline_exceeded or service_crashed → timeout or exception",
  ),
  keeps(
    "keeps a hundred megabytes",
    "solo.state = { text: 'x'.repeat(100_000_000) };",
    "deadline_exceeded or service_crashed → timeout or exception or memory",
  ),
  keeps(
    "keeps two million numbers",
    "solo.state = Array.from({ length: 2_000_000 }, (_, i) => i);",
    "deadline_exceeded or service_crashed → timeout or exception or memory",
  ),
  keeps(
    "keeps four billion holes",
    "solo.state = new Array(2 ** 32 - 2);",
    "replied or service_crashed or deadline_exceeded → lives or exception or timeout or memory",
  ),
  keeps(
    "keeps keys of prototypes",
    `solo.state = JSON.parse('{"__proto__":{"polluted":1},"constructor":1}');`,
    "service_crashed → exception",
  ),
  keeps(
    "keeps what devours whoever encodes it",
    "solo.state = { toJSON() { for (;;); }, valueOf() { for (;;); }, then() { for (;;); } };",
    "service_crashed → exception",
  ),
  keeps("keeps nothing", "solo.state = undefined;", "replied → lives"),
  keeps("keeps a ring", "solo.state.ring = solo.state;", "replied → lives"),
  keeps(
    "keeps buffers that were given away",
    "const buffer = new ArrayBuffer(8); structuredClone(buffer, { transfer: [buffer] }); solo.state = { buffer };",
    "replied or service_crashed → lives or exception",
  ),
  migrates(
    "answers codeChange with a promise that never tells",
    "codeChange: () => new Promise(() => {})",
    "refused startup_timeout",
  ),
  migrates(
    "answers codeChange with a function",
    "codeChange: () => () => 1",
    "refused startup_failed",
  ),
  migrates(
    "answers codeChange with a hundred megabytes",
    "codeChange: () => 'x'.repeat(100_000_000)",
    "refused startup_failed or refused startup_timeout",
  ),
  migrates(
    "throws a proxy in codeChange",
    "codeChange() { throw new Proxy({}, { get() { throw null; } }); }",
    "refused startup_failed",
  ),
  migrates(
    "looks for a way out in checkState",
    "checkState() { for (;;); }",
    "refused startup_timeout",
  ),
  migrates(
    "replaces its bridge in codeChange",
    "codeChange(old: any) { (Array.prototype as any).join = () => 7; return old; }",
    "refused startup_timeout",
  ),
  migrates(
    "changes the state that it was given, and throws",
    "codeChange(old: any) { old.kept = 666; throw new Error('no'); }",
    "refused startup_failed",
  ),
];
