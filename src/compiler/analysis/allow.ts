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
  for (const [index, comment] of comments.entries()) {
    if (!MARK.test(comment.value)) continue;
    const [, code, reason] = FORM.exec(comment.value) ?? [];
    if (code === undefined || reason === undefined || !codes.has(code)) {
      bad.push(comment);
      continue;
    }
    const line = lineMeant(source, comments, { index, places });
    allowed.push({ code, line, reason: reason.trim().slice(0, MAX_REASON_CHARS) });
  }
  return { allowed, bad };
}

function lineMeant(
  source: string,
  comments: readonly Comment[],
  { index, places }: { index: number; places: Places },
): number {
  const own = comments[index]!;
  const lineStart = source.lastIndexOf("\n", own.start - 1) + 1;
  if (source.slice(lineStart, own.start).trim() !== "") return places.line(own.start);
  let at = own.end;
  for (let next = index + 1; ; next += 1) {
    const space = /\S/.exec(source.slice(at, at + 10_000));
    at += space?.index ?? 0;
    const comment = comments[next];
    if (comment === undefined || comment.start !== at) return places.line(at);
    at = comment.end;
  }
}
