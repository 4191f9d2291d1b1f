/**
 * Keys that are not stored, by pattern: `*` stands for any characters, everything else for
 * itself.
 *
 * 1. Matching never goes back: each part between stars is searched for once, from the left.
 */

/** Whether one of the patterns covers the whole key. */
export function matcher(patterns: readonly string[]): (key: string) => boolean {
  const split = patterns.map((pattern) => pattern.split("*"));
  return (key) => split.some((parts) => covers(parts, key));
}

function covers(parts: readonly string[], key: string): boolean {
  const [first = "", ...rest] = parts;
  const last = rest.pop();
  if (last === undefined) return key === first;
  if (!key.startsWith(first) || key.length < first.length + last.length) return false;
  const end = key.length - last.length;
  let at = first.length;
  for (const part of rest) {
    at = key.indexOf(part, at);
    if (at === -1 || at + part.length > end) return false;
    at += part.length;
  }
  return key.endsWith(last);
}
