/** The characters that one position of a regular expression takes, as ranges of code points. */
import type { AST } from "@eslint-community/regexpp";

/** Ranges in any order; none when the characters are not known. */
export type Chars = readonly (readonly [number, number])[];

const LAST = 0x10_ffff;
const DIGITS: Chars = [[48, 57]];
const WORD: Chars = [
  [48, 57],
  [65, 90],
  [95, 95],
  [97, 122],
];
const SPACE: Chars = [
  [9, 13],
  [32, 32],
  [0xa0, 0xa0],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
];
const LINE_ENDS: Chars = [
  [10, 10],
  [13, 13],
  [0x2028, 0x2029],
];

export const overlap = (one: Chars, other: Chars): boolean =>
  one.some(([from, to]) => other.some(([start, end]) => from <= end && start <= to));

type Position =
  | AST.Character
  | AST.CharacterSet
  | AST.CharacterClass
  | AST.ExpressionCharacterClass;

export function charsOf(node: Position, foldCase: boolean): Chars {
  const chars = plain(node);
  return foldCase ? [...chars, ...folded(chars)] : chars;
}

function plain(node: Position): Chars {
  switch (node.type) {
    case "Character":
      return [[node.value, node.value]];
    case "CharacterSet":
      return ofSet(node);
    case "CharacterClass": {
      const parts = node.elements.map((element) => {
        if (element.type === "CharacterClassRange")
          return [[element.min.value, element.max.value]] as const;
        const single = element.type === "Character" || element.type === "CharacterSet";
        return single ? plain(element) : undefined;
      });
      // One part that is not known makes the negation unknown too.
      if (parts.some((part) => part === undefined || part.length === 0)) return [];
      const chars = parts.flatMap((part) => part!);
      return node.negate ? inverted(chars) : chars;
    }
    default:
      return [];
  }
}

function ofSet(set: AST.CharacterSet): Chars {
  if (set.kind === "any") return inverted(LINE_ENDS);
  if (set.kind === "property") return [];
  const chars = set.kind === "digit" ? DIGITS : set.kind === "word" ? WORD : SPACE;
  return set.negate ? inverted(chars) : chars;
}

function inverted(chars: Chars): Chars {
  const rest: [number, number][] = [];
  let from = 0;
  for (const [start, end] of chars.toSorted(([a], [b]) => a - b)) {
    if (start > from) rest.push([from, start - 1]);
    from = Math.max(from, end + 1);
  }
  if (from <= LAST) rest.push([from, LAST]);
  return rest;
}

/** The other case of what is in A to Z and a to z. */
const folded = (chars: Chars): Chars =>
  chars.flatMap(([from, to]) => {
    const cut = (low: number, high: number, by: number): [number, number][] => {
      const [start, end] = [Math.max(from, low), Math.min(to, high)];
      return start <= end ? [[start + by, end + by]] : [];
    };
    return [...cut(65, 90, 32), ...cut(97, 122, -32)];
  });
