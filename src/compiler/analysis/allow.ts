/**
 * `// solo-allow RULE_CODE: reason` in the source: the author's word that a finding is right.
 *
 * 1. It holds for one line: its own when code stands before it, else the next line of code.
 * 2. Without a reason, or with a code that is no rule's, it allows nothing.
 */
import type { Places } from "#compiler/position.ts";

export interface Comment {
  readonly value: string;
  readonly start: number;
  readonly end: number;
}

export interface Allowance {
  readonly code: string;
  readonly line: number;
  readonly reason: string;
}

interface Allowances {
  readonly allowed: readonly Allowance[];
  readonly bad: readonly Comment[];
}

const MARK = /^[\s*]*solo-allow\b/;
const FORM = /^[\s*]*solo-allow\s+([a-z_]+)\s*:\s*(\S[^\n]*)/;
const MAX_REASON_CHARS = 200;

export function readAllowances(
  source: string,
  comments: readonly Comment[],
  { places, codes }: { places: Places; codes: ReadonlySet<string> },
): Allowances {
  const allowed: Allowance[] = [];
  const bad: Comment[] = [];
  const ends = endsOfRuns(source, comments);
  for (const [index, comment] of comments.entries()) {
    if (!MARK.test(comment.value)) continue;
    const [, code, reason] = FORM.exec(comment.value) ?? [];
    if (code === undefined || reason === undefined || !codes.has(code)) {
      bad.push(comment);
      continue;
    }
    const meant = followsCode(source, comment) ? comment.start : ends[index]!;
    allowed.push({
      code,
      line: places.line(meant),
      reason: reason.trim().slice(0, MAX_REASON_CHARS),
    });
  }
  return { allowed, bad };
}

/** For each comment, where the code begins that follows it and the comments right after it.
 *  From the last to the first: a run of comments is gone over once. */
function endsOfRuns(source: string, comments: readonly Comment[]): readonly number[] {
  const ends: number[] = [];
  for (let index = comments.length - 1; index >= 0; index -= 1) {
    const { end } = comments[index]!;
    const space = /\S/.exec(source.slice(end, end + 10_000));
    const at = end + (space?.index ?? 0);
    ends[index] = comments[index + 1]?.start === at ? ends[index + 1]! : at;
  }
  return ends;
}

/** On its line. */
function followsCode(source: string, { start }: Comment): boolean {
  for (let at = start - 1; at >= 0 && source[at] !== "\n"; at -= 1) {
    if (source[at]!.trim() !== "") return true;
  }
  return false;
}
