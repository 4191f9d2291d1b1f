/** Code that says more than anybody can listen to. */
import { called, everyDay, type Attack } from "#doctor/attack.ts";

const flood = (name: string, code: string, expect: string): Attack => ({
  name,
  kind: "flood",
  code,
  expect,
});

/** Calls, each time with a pause, until its own deadline. */
const waves = (body: string): string =>
  called(
    `for (let wave = 0; wave < 50; wave += 1) { for (let i = 0; i < 2000; i += 1) { ${body} } await solo.sleep(1); } return "done";`,
  );

export const floods: readonly Attack[] = [
  everyDay(
    flood(
      "asks the kernel without end",
      called("for (;;) solo.kv.get('key');"),
      "deadline_exceeded → timeout",
    ),
  ),
  flood(
    "asks the kernel in waves",
    waves("solo.kv.get('key').catch(() => {});"),
    "deadline_exceeded → timeout",
  ),
  everyDay(
    flood(
      "logs without end",
      called("for (;;) solo.log.error('x'.repeat(1000));"),
      "deadline_exceeded → timeout",
    ),
  ),
  flood(
    "logs in waves",
    waves("solo.log.info('x'.repeat(1000));"),
    "deadline_exceeded or replied → timeout or lives",
  ),
  flood(
    "logs one enormous line",
    called("solo.log.info('x'.repeat(50_000_000)); return 1;"),
    "replied → lives",
  ),
  flood(
    "starts timers without end",
    called("for (;;) setTimeout(() => {}, 0);"),
    "service_crashed → exception",
  ),
  flood(
    "starts a hundred thousand timers",
    called("for (let i = 0; i < 100_000; i += 1) setInterval(() => {}, 0); return 1;"),
    "service_crashed → exception",
  ),
  flood(
    "asks for timers of the kernel in waves",
    waves("solo.every(1, { i }).catch(() => {});"),
    "deadline_exceeded → timeout",
  ),
  flood(
    "makes promises without end",
    called("for (;;) new Promise(() => {}).then(() => {});"),
    "deadline_exceeded → timeout",
  ),
  flood(
    "casts to itself, twice for each",
    `export default {
      calls: { async attack(solo: any) { await solo.services.cast(solo.service, "again"); return 1; } },
      casts: { async again(solo: any) { for (let i = 0; i < 2; i += 1) solo.services.cast(solo.service, "again").catch(() => {}); } },
    };`,
    "replied → lives",
  ),
  everyDay(
    flood(
      "casts to its neighbour in waves",
      waves("solo.services.cast('neighbour', 'poke', 'x'.repeat(100)).catch(() => {});"),
      "deadline_exceeded → timeout",
    ),
  ),
  flood(
    "calls itself",
    called("return solo.services.call(solo.service, 'attack');"),
    "deadline_exceeded → timeout or lives",
  ),
  flood(
    "records events in waves",
    waves("solo.events.emit('noise', { i, text: 'x'.repeat(500) }).catch(() => {});"),
    "deadline_exceeded → timeout",
  ),
  flood(
    "writes keys in waves",
    waves("if (i < 100) solo.kv.put(`key-${wave}-${i}`, 'x'.repeat(10_000)).catch(() => {});"),
    "deadline_exceeded or replied → timeout or lives",
  ),
  everyDay(
    flood(
      "answers with 200 MB",
      called("return 'x'.repeat(200_000_000);"),
      "service_crashed or deadline_exceeded → memory or timeout",
    ),
  ),
  flood(
    "answers with two million lists",
    called("return Array.from({ length: 2_000_000 }, () => []);"),
    "service_crashed or deadline_exceeded or payload_too_large → memory or timeout or lives",
  ),
  flood(
    "casts two million lists to its neighbour, again and again",
    called(
      "const lists = Array(2_000_000).fill([]); for (;;) await solo.services.cast('neighbour', 'poke', lists).catch(() => {});",
    ),
    "deadline_exceeded → timeout or memory",
  ),
  flood(
    "keeps what is nested a hundred thousand deep",
    called(
      "for (let i = 0; i < 20; i += 1) await solo.kv.put('deep', JSON.parse('['.repeat(100_000) + ']'.repeat(100_000))).catch(() => {}); return 1;",
    ),
    "service_crashed or deadline_exceeded → memory or timeout; replied → lives",
  ),
  flood(
    "throws an enormous error while it is loaded",
    "throw new Error('x'.repeat(40_000_000)); export default {};",
    "refused startup_failed",
  ),
  flood(
    "answers with 30 MB",
    called("return 'x'.repeat(30_000_000);"),
    "payload_too_large → lives",
  ),
  flood(
    "throws an enormous error",
    called("throw new Error('x'.repeat(100_000_000));"),
    "deadline_exceeded → timeout; service_crashed → memory",
  ),
  flood(
    "throws an error with an enormous stack",
    called("const error = new Error('x'); error.stack = 'y'.repeat(50_000_000); throw error;"),
    "service_crashed → exception",
  ),
  flood(
    "answers with many keys",
    called(
      "return Object.fromEntries(Array.from({ length: 500_000 }, (_, i) => [`key-${i}`, i]));",
    ),
    "deadline_exceeded → timeout",
  ),
  flood(
    "names a hundred thousand handlers",
    `const calls: any = { attack: () => 1 }; for (let i = 0; i < 100_000; i += 1) calls["call-" + i] = () => i; export default { calls };`,
    "refused startup_failed or refused startup_timeout",
  ),
];
