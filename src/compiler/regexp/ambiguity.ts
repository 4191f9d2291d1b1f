/**
 * Whether a regular expression can backtrack exponentially.
 *
 * The expression becomes an automaton with one state for each character position (Glushkov's
 * construction). It is exponentially ambiguous when some text leads from a state back to it in
 * two ways; that is looked for in the product of the automaton with itself.
 *
 * 1. Says yes only when the two ways exist and something after the repetition can fail.
 *    Lookarounds, word boundaries and back references inside of a repetition count as making
 *    it unambiguous.
 * 2. What does not fit MAX_STATES is not judged.
 */
import { RegExpParser, type AST } from "@eslint-community/regexpp";
import type { Budget } from "#compiler/analysis/tree.ts";
import { charsOf, overlap, type Chars } from "#compiler/regexp/chars.ts";

const MAX_STATES = 160;
const MAX_PATTERN_CHARS = 4000;
/** (a+){20} is as good as endless. */
const MANY = 16;

const parser = new RegExpParser({ ecmaVersion: 2025 });

/** Without a repeated group nothing can be ambiguous. */
const REPEATED_GROUP = /\)(?:[*+]|\{)/;

/** The text of a repetition that is exponentially ambiguous, if there is one. */
export function ambiguousLoop(pattern: string, flags: string, budget: Budget): string | undefined {
  if (pattern.length > MAX_PATTERN_CHARS || !REPEATED_GROUP.test(pattern)) return undefined;
  budget.spend(pattern.length);
  const tree = parse(pattern, flags);
  if (tree === undefined) return undefined;
  const foldCase = flags.includes("i");
  for (const loop of outermostLoops(tree)) {
    if (!canFailAfter(loop)) continue;
    const automaton = new Automaton(foldCase, budget);
    if (automaton.build(loop) && automaton.isAmbiguous()) return loop.raw;
  }
  return undefined;
}

function parse(pattern: string, flags: string): AST.Pattern | undefined {
  try {
    return parser.parsePattern(pattern, undefined, undefined, {
      unicode: flags.includes("u"),
      unicodeSets: flags.includes("v"),
    });
  } catch {
    // It is not a regular expression: the engine will say so where it is made.
    return undefined;
  }
}

const isLoop = (node: AST.Node): node is AST.Quantifier =>
  node.type === "Quantifier" && node.max >= MANY;

/** Repetitions that stand in no other. */
function outermostLoops(tree: AST.Pattern): AST.Quantifier[] {
  const found: AST.Quantifier[] = [];
  const waiting: AST.Node[] = [tree];
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    if (isLoop(node)) found.push(node);
    else waiting.push(...below(node));
  }
  return found;
}

function below(node: AST.Node): readonly AST.Node[] {
  switch (node.type) {
    case "Pattern":
    case "Group":
    case "CapturingGroup":
      return node.alternatives;
    case "Alternative":
      return node.elements;
    case "Quantifier":
      return [node.element];
    case "Assertion":
      return node.kind === "lookahead" || node.kind === "lookbehind" ? node.alternatives : [];
    default:
      return [];
  }
}

/** Whether the match can fail after the repetition, so that its other ways are tried. */
function canFailAfter(loop: AST.Quantifier): boolean {
  let at: AST.Node = loop;
  for (let above: AST.Node | null = loop.parent; above !== null; above = above.parent) {
    if (above.type === "Alternative") {
      const rest = above.elements.slice(above.elements.indexOf(at as AST.Element) + 1);
      if (rest.some((each) => !isNullable(each))) return true;
    }
    at = above;
  }
  return false;
}

function isNullable(node: AST.Node): boolean {
  switch (node.type) {
    case "Quantifier":
      return node.min === 0 || isNullable(node.element);
    case "Group":
    case "CapturingGroup":
      return node.alternatives.some((each) => each.elements.every(isNullable));
    case "Backreference":
      return true;
    default:
      // `$` takes nothing, and can fail.
      return false;
  }
}

/** The states at which a part begins and ends, and whether it can match nothing. */
interface Part {
  readonly first: readonly number[];
  readonly last: readonly number[];
  readonly nullable: boolean;
}

const NOTHING: Part = { first: [], last: [], nullable: true };

class Automaton {
  readonly #foldCase: boolean;
  readonly #budget: Budget;
  readonly #chars: Chars[] = [];
  /** By state, the states that may follow, and in how many ways: more than one is ambiguous. */
  readonly #next: Map<number, number>[] = [];
  #judged = true;

  constructor(foldCase: boolean, budget: Budget) {
    this.#foldCase = foldCase;
    this.#budget = budget;
  }

  /** False when the expression holds something that is not judged. */
  build(loop: AST.Quantifier): boolean {
    this.#part(loop);
    return this.#judged;
  }

  #part(node: AST.Node): Part {
    this.#budget.spend();
    switch (node.type) {
      case "Group":
      case "CapturingGroup":
        return this.#choice(node.alternatives.map((each) => this.#sequence(each.elements)));
      case "Quantifier":
        return this.#repeat(node);
      case "Character":
      case "CharacterSet":
      case "CharacterClass":
      case "ExpressionCharacterClass":
        return this.#state(charsOf(node, this.#foldCase));
      default:
        this.#judged = false;
        return NOTHING;
    }
  }

  #state(chars: Chars): Part {
    const state = this.#chars.push(chars) - 1;
    this.#next.push(new Map());
    if (this.#chars.length > MAX_STATES) this.#judged = false;
    return { first: [state], last: [state], nullable: false };
  }

  #choice(parts: readonly Part[]): Part {
    return {
      first: parts.flatMap(({ first }) => first),
      last: parts.flatMap(({ last }) => last),
      nullable: parts.some(({ nullable }) => nullable),
    };
  }

  #sequence(elements: readonly AST.Node[]): Part {
    let whole = NOTHING;
    for (const element of elements) {
      if (!this.#judged) return NOTHING;
      const part = this.#part(element);
      this.#join(whole.last, part.first);
      whole = {
        first: whole.nullable ? [...whole.first, ...part.first] : whole.first,
        last: part.nullable ? [...whole.last, ...part.last] : part.last,
        nullable: whole.nullable && part.nullable,
      };
    }
    return whole;
  }

  #repeat({ element, min, max }: AST.Quantifier): Part {
    if (max === 0) return NOTHING;
    const part = this.#part(element);
    // {4} always takes the same number; {1,3} may share with what repeats it.
    if (max >= MANY || (max > 1 && max !== min)) this.#join(part.last, part.first);
    return { ...part, nullable: part.nullable || min === 0 };
  }

  #join(from: readonly number[], to: readonly number[]): void {
    this.#budget.spend(from.length * to.length);
    for (const state of from) {
      const next = this.#next[state]!;
      for (const target of to) next.set(target, (next.get(target) ?? 0) + 1);
    }
  }

  isAmbiguous(): boolean {
    const size = this.#chars.length;
    const reach = new Map<number, ReadonlySet<number>>();
    for (let state = 0; state < size; state += 1) {
      for (const [target, ways] of this.#next[state]!) {
        // Two ways over one edge, and a way back.
        if (ways > 1 && this.#reachable(target, reach).has(state)) return true;
      }
    }
    for (let state = 0; state < size; state += 1) {
      if (this.#reachable(state, reach).has(state) && this.#parts(state)) return true;
    }
    return false;
  }

  /** The states that can follow, at any distance. */
  #reachable(from: number, known: Map<number, ReadonlySet<number>>): ReadonlySet<number> {
    const before = known.get(from);
    if (before !== undefined) return before;
    const found = new Set<number>([from]);
    const seen = new Set<number>();
    const waiting = [from];
    for (let state = waiting.pop(); state !== undefined; state = waiting.pop()) {
      for (const target of this.#next[state]!.keys()) {
        this.#budget.spend();
        if (seen.has(target)) continue;
        seen.add(target);
        found.add(target);
        waiting.push(target);
      }
    }
    if (!seen.has(from)) found.delete(from);
    known.set(from, found);
    return found;
  }

  /** Whether two different ways from the state meet in it again on the same text. */
  #parts(origin: number): boolean {
    const size = this.#chars.length;
    const seen = new Set<number>();
    /** Pairs, with whether they have been different on the way. */
    const waiting: [number, number, boolean][] = [[origin, origin, false]];
    for (let pair = waiting.pop(); pair !== undefined; pair = waiting.pop()) {
      const [one, other, different] = pair;
      for (const left of this.#next[one]!.keys()) {
        for (const right of this.#next[other]!.keys()) {
          this.#budget.spend();
          if (!overlap(this.#chars[left]!, this.#chars[right]!)) continue;
          const parted = different || left !== right;
          if (parted && left === origin && right === origin) return true;
          const key = (left * size + right) * 2 + Number(parted);
          if (seen.has(key)) continue;
          seen.add(key);
          waiting.push([left, right, parted]);
        }
      }
    }
    return false;
  }
}
