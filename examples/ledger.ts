/**
 * A stateful service: accounts that survive anything.
 *
 * With `--persistence durable` a reply leaves only when the state it rests on is on disk: what
 * was answered was not lost.
 *
 *     npx solo deploy examples/ledger.ts --persistence durable
 *     npx solo call ledger deposit ada 100     # → 100
 *     npx solo call ledger transfer ada bob 30 # → {"ada":70,"bob":30}
 *     npx solo call ledger transfer bob ada 31 # → error[service_error]: bob has only 30.
 *     # kill -9 the kernel and start it again
 *     npx solo call ledger balances            # → {"ada":70,"bob":30}
 */
import { defineService, ServiceError } from "solo";

interface State {
  readonly accounts: Map<string, number>;
}

function checkAmount(amount: unknown): asserts amount is number {
  if (Number.isSafeInteger(amount) && Number(amount) > 0) return;
  throw new ServiceError("bad_amount", "An amount is a whole number above 0.");
}

export default defineService<State>({
  init: () => ({ accounts: new Map() }),
  calls: {
    deposit({ state }, to: string, amount: number) {
      checkAmount(amount);
      const balance = (state.accounts.get(to) ?? 0) + amount;
      state.accounts.set(to, balance);
      return balance;
    },
    // One message at a time: nobody sees the money on neither or on both accounts.
    transfer({ state }, from: string, to: string, amount: number) {
      checkAmount(amount);
      const balance = state.accounts.get(from) ?? 0;
      if (balance < amount) throw new ServiceError("too_little", `${from} has only ${balance}.`);
      state.accounts.set(from, balance - amount);
      state.accounts.set(to, (state.accounts.get(to) ?? 0) + amount);
      return { [from]: state.accounts.get(from), [to]: state.accounts.get(to) };
    },
    balances: ({ state }) => Object.fromEntries(state.accounts),
  },
});
