/**
 * Sources nobody has compiled before: some fifty lines of TypeScript as an agent writes
 * them, with names and numbers of their own.
 */
export interface Unseen {
  readonly source: string;
  /** Arguments of `calls.quote`, and what it must answer. */
  readonly args: readonly number[];
  readonly expected: number;
}

export function unseenSource(seed: string): Unseen {
  const id = seed.replace(/\W/g, "_");
  const [base, step, fee] = [1, 2, 3].map((salt) => 3 + (hash(`${seed}/${salt}`) % 997)) as [
    number,
    number,
    number,
  ];
  const quantity = 2 + (hash(seed) % 7);
  const source = `import { defineService } from "solo";

interface Line_${id} {
  readonly item: string;
  readonly quantity: number;
  readonly price: number;
}

type Totals_${id} = Readonly<Record<"net" | "fee" | "gross", number>>;

const BASE_${id} = ${base};
const STEP_${id}: number = ${step};
const FEE_${id} = ${fee};

/** The price falls with every step, but never below the base. */
function price_${id}(quantity: number): number {
  const reduced = BASE_${id} * 10 - STEP_${id} * quantity;
  return Math.max(BASE_${id}, reduced);
}

function total_${id}(lines: readonly Line_${id}[]): Totals_${id} {
  let net = 0;
  for (const { quantity, price } of lines) net += quantity * price;
  return { net, fee: FEE_${id}, gross: net + FEE_${id} };
}

class Order_${id} {
  readonly lines: Line_${id}[] = [];
  add(item: string, quantity: number): this {
    this.lines.push({ item, quantity, price: price_${id}(quantity) });
    return this;
  }
  get totals(): Totals_${id} {
    return total_${id}(this.lines);
  }
}

export default defineService({
  version: "${seed}",
  init: () => ({ asked: 0 }),
  calls: {
    quote(solo, quantity: number) {
      solo.state.asked += 1;
      return new Order_${id}().add("item", quantity).totals.gross;
    },
    add: (_solo, a: number, b: number) => a + b,
    boom(): never { throw new Error("boom ${seed}"); },
    async emit(solo, count: number) {
      for (let i = 0; i < count; i += 1) await solo.events.emit("tick", { i });
      return count;
    },
  },
  fetch: () => new Response("hello from ${seed}"),
});
`;
  const price = Math.max(base, base * 10 - step * quantity);
  return { source, args: [quantity], expected: quantity * price + fee };
}

/** FNV-1a, 32 bits. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const character of text)
    value = Math.imul(value ^ character.charCodeAt(0), 0x01000193) >>> 0;
  return value;
}
