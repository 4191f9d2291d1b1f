/** What a rule is: data for people, and a visitor for the tree. */
import type { Diagnostic } from "#base/errors.ts";
import type { Need } from "#wire/compiler.ts";
import type { Budget, Node, NodeOf } from "#compiler/analysis/tree.ts";

export type Visitor = { [T in Node["type"]]?: (node: NodeOf<T>) => void } & {
  /** After the last node. */
  finish?(): void;
};

export interface Span {
  readonly start: number;
  readonly end: number;
}

export interface Report {
  /** What was found here, in one sentence. */
  readonly message: string;
  /** What the service would have to be given. */
  readonly needs?: Need;
  /** Parts of the source that the excerpt must not repeat. */
  readonly hide?: Span;
}

export interface Context {
  readonly source: string;
  /** The module whose default export is the service. */
  readonly isEntry: boolean;
  readonly program: NodeOf<"Program">;
  readonly budget: Budget;
  /** Whether the name is the platform's: nothing in this source declares it. */
  isGlobal(name: string): boolean;
  parentOf(node: Node): Node | undefined;
  report(at: Span, report: Report): void;
}

export interface Rule {
  /** Stable: suppressions and tools name it. */
  readonly code: string;
  readonly title: string;
  /** Under `strict` an error refuses the deploy. */
  readonly severity: Diagnostic["severity"];
  readonly explanation: string;
  readonly fix: string;
  visit(context: Context): Visitor;
}
