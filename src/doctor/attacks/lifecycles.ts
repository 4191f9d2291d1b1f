/** Services that misbehave at their start, at their end, and in between. */
import { called, everyDay, loaded, type Attack } from "#doctor/attack.ts";

const lifecycle = (name: string, code: string, expect: string): Attack => ({
  name,
  kind: "lifecycle",
  code,
  expect,
});

export const lifecycles: readonly Attack[] = [
  lifecycle(
    "never finishes init",
    "export default { init: () => new Promise(() => {}), calls: { attack: () => 1 } };",
    "refused startup_timeout",
  ),
  everyDay(
    lifecycle(
      "never finishes loading",
      loaded("await new Promise(() => {});"),
      "refused startup_timeout",
    ),
  ),
  lifecycle("throws at every start", loaded("throw new Error('no');"), "refused startup_failed"),
  lifecycle(
    "throws in init",
    "export default { init() { throw new Error('no'); } };",
    "refused startup_failed",
  ),
  lifecycle("exports nothing", "export {};", "refused compile_failed"),
  lifecycle(
    "exports something hostile",
    "export default new Proxy({}, { get() { throw new Error('no'); } });",
    "refused startup_failed",
  ),
  lifecycle(
    "throws in terminate",
    "export default { calls: { attack: () => 1 }, terminate() { throw new Error('no'); } };",
    "replied → lives",
  ),
  lifecycle(
    "never finishes terminate",
    "export default { calls: { attack: () => 1 }, terminate: () => new Promise(() => {}) };",
    "replied → lives",
  ),
  lifecycle(
    "loops in terminate",
    "export default { calls: { attack: () => 1 }, terminate() { for (;;); } };",
    "replied → lives",
  ),
  lifecycle(
    "crashes on its first start after a crash",
    "export default { init(solo: any) { if (solo.restored) throw new Error('no'); return {}; }, calls: { attack() { throw new Error('first'); } } };",
    "service_crashed → exception",
  ),
  {
    ...lifecycle("crashes only after a swap", called("return 1;"), "service_crashed → exception"),
    update: called("throw new Error('only now');"),
  },
  {
    ...lifecycle("loops in codeChange of a swap", called("return 1;"), "refused startup_timeout"),
    update: "export default { codeChange() { for (;;); }, calls: { attack: () => 1 } };",
  },
  {
    ...lifecycle(
      "loops while it is loaded for a swap",
      called("return 1;"),
      "refused startup_timeout",
    ),
    update: loaded("for (;;);"),
  },
  everyDay(
    lifecycle(
      "rejects later, with nobody there",
      called("setTimeout(() => { Promise.reject(new Error('late')); }, 5); return 1;"),
      "replied → exception",
    ),
  ),
  lifecycle(
    "throws later, with nobody there",
    called("setTimeout(() => { throw new Error('late'); }, 5); return 1;"),
    "replied → exception",
  ),
  lifecycle("throws null", called("throw null;"), "service_crashed → exception"),
  lifecycle(
    "throws undefined, from everywhere",
    called("setTimeout(() => { throw undefined; }, 1); throw undefined;"),
    "service_crashed → exception",
  ),
  lifecycle(
    "answers init with a then that loops",
    "export default { init: () => ({ then() { for (;;); } }), calls: { attack: () => 1 } };",
    "refused startup_timeout",
  ),
  lifecycle(
    "keeps a state whose getters loop",
    called("solo.state = { get x() { for (;;); } }; return 1;"),
    "replied → lives",
  ),
  lifecycle(
    "keeps a state that is nested two hundred thousand deep",
    called(
      "let s: any = {}; for (let i = 0; i < 200_000; i += 1) s = { s }; solo.state = s; return 1;",
    ),
    "replied → lives",
  ),
  {
    ...lifecycle(
      "takes memory without end in codeChange",
      called("return 1;"),
      "refused startup_failed",
    ),
    update:
      "export default { codeChange() { const kept: any[] = []; for (;;) kept.push(new Uint8Array(1 << 24).fill(1)); }, calls: { attack: () => 1 } };",
  },
  lifecycle(
    "nests its types fifty thousand deep",
    `type Deep = ${"Array<".repeat(50_000)}1${">".repeat(50_000)}; export default { calls: { attack: () => 1 } };`,
    "refused compile_failed",
  ),
  lifecycle(
    "nests its source two hundred thousand deep",
    `export default ${"[".repeat(200_000)}${"]".repeat(200_000)};`,
    "refused compile_failed",
  ),
];
