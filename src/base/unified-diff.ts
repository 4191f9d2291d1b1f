/**
 * The difference of two texts, line by line, as a unified diff.
 *
 * 1. Applied to the first text it gives the second.
 * 2. Bounded: beyond MAX_EDITS the part that differs is replaced as a whole.
 */
const CONTEXT = 3;
/** Time and memory grow with its square. */
const MAX_EDITS = 800;

interface Edit {
  readonly kind: " " | "-" | "+";
  readonly text: string;
}

/** Empty when the texts are equal. */
export function unifiedDiff(options: {
  readonly before: string;
  readonly after: string;
  readonly beforeName: string;
  readonly afterName: string;
}): string {
  const { before, after, beforeName, afterName } = options;
  if (before === after) return "";
  const hunks = hunksOf(editsOf(linesOf(before), linesOf(after)));
  return [`--- ${beforeName}`, `+++ ${afterName}`, ...hunks].join("\n");
}

/** The last line says so when nothing ends it, as diff does. */
function linesOf(text: string): string[] {
  if (text === "") return [];
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  else lines[lines.length - 1] += "\n\\ No newline at end of file";
  return lines;
}

function editsOf(before: readonly string[], after: readonly string[]): Edit[] {
  let head = 0;
  const shorter = Math.min(before.length, after.length);
  while (head < shorter && before[head] === after[head]) head += 1;
  let tail = 0;
  while (tail < shorter - head && before.at(-1 - tail) === after.at(-1 - tail)) tail += 1;
  const same = (lines: readonly string[]) => lines.map((text): Edit => ({ kind: " ", text }));
  return [
    ...same(before.slice(0, head)),
    ...shortest(before.slice(head, before.length - tail), after.slice(head, after.length - tail)),
    ...same(before.slice(before.length - tail)),
  ];
}

/** Myers, "An O(ND) Difference Algorithm" (1986): `furthest[k]` is how far into `before` the
 *  best path on diagonal k has come. */
function shortest(before: readonly string[], after: readonly string[]): Edit[] {
  const most = Math.min(MAX_EDITS, before.length + after.length);
  const rounds: Map<number, number>[] = [];
  let furthest = new Map<number, number>([[1, 0]]);
  for (let edits = 0; edits <= most; edits += 1) {
    rounds.push(new Map(furthest));
    for (let k = -edits; k <= edits; k += 2) {
      let x = stepsDown(furthest, k, edits) ? furthest.get(k + 1)! : furthest.get(k - 1)! + 1;
      while (x < before.length && x - k < after.length && before[x] === after[x - k]) x += 1;
      furthest.set(k, x);
      if (x >= before.length && x - k >= after.length) return wayBack(before, after, rounds);
    }
    furthest = new Map(furthest);
  }
  return [
    ...before.map((text): Edit => ({ kind: "-", text })),
    ...after.map((text): Edit => ({ kind: "+", text })),
  ];
}

const stepsDown = (furthest: ReadonlyMap<number, number>, k: number, edits: number): boolean =>
  k === -edits || (k !== edits && furthest.get(k - 1)! < furthest.get(k + 1)!);

function wayBack(
  before: readonly string[],
  after: readonly string[],
  rounds: readonly ReadonlyMap<number, number>[],
): Edit[] {
  const edits: Edit[] = [];
  let x = before.length;
  let y = after.length;
  for (let round = rounds.length - 1; round >= 0; round -= 1) {
    const furthest = rounds[round]!;
    const k = x - y;
    const down = stepsDown(furthest, k, round);
    const fromK = down ? k + 1 : k - 1;
    const fromX = furthest.get(fromK)!;
    const fromY = fromX - fromK;
    while (x > fromX && y > fromY && x > 0 && y > 0) {
      x -= 1;
      y -= 1;
      edits.push({ kind: " ", text: before[x]! });
    }
    if (round === 0) break;
    if (down) edits.push({ kind: "+", text: after[(y -= 1)]! });
    else edits.push({ kind: "-", text: before[(x -= 1)]! });
  }
  return edits.toReversed();
}

function hunksOf(edits: readonly Edit[]): string[] {
  const out: string[] = [];
  let beforeLine = 1;
  let afterLine = 1;
  for (let at = 0; at < edits.length;) {
    const first = edits.findIndex(({ kind }, index) => index >= at && kind !== " ");
    if (first === -1) break;
    const start = Math.max(at, first - CONTEXT);
    for (; at < start; at += 1) {
      beforeLine += 1;
      afterLine += 1;
    }
    const end = hunkEnd(edits, first);
    const hunk = edits.slice(start, end);
    const removed = hunk.filter(({ kind }) => kind !== "+").length;
    const added = hunk.filter(({ kind }) => kind !== "-").length;
    out.push(
      `@@ -${range(beforeLine, removed)} +${range(afterLine, added)} @@`,
      ...hunk.map(({ kind, text }) => `${kind}${text}`),
    );
    beforeLine += removed;
    afterLine += added;
    at = end;
  }
  return out;
}

/** After the last change that is near enough to the one before it, and its context. */
function hunkEnd(edits: readonly Edit[], first: number): number {
  let last = first;
  for (let at = first; at < edits.length && at - last <= 2 * CONTEXT; at += 1) {
    if (edits[at]!.kind !== " ") last = at;
  }
  return Math.min(edits.length, last + 1 + CONTEXT);
}

const range = (line: number, count: number): string => `${count === 0 ? line - 1 : line},${count}`;
