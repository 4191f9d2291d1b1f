/**
 * Where attacks take place: a kernel, a tenant that attacks, its innocent neighbour, and a
 * service of another tenant.
 *
 * 1. An attack has held when the attacker came to what was expected, and nobody else lost an
 *    answer, a message or its state.
 * 2. The attacker is removed afterwards; what it did to the cell that it shared stays, for
 *    the next one to find.
 * 3. Who ends without having done anything tries once more: the cell around it may have ended
 *    under the memory that its predecessor had not given back yet.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "#base/clock.ts";
import { SoloError } from "#base/errors.ts";
import type { Client } from "#client/index.ts";
import type { Attack } from "#doctor/attack.ts";
import { ARROW, isExpected, mayLive, namesReply, wordsOf } from "#doctor/outcome.ts";
import { Watcher } from "#doctor/watcher.ts";

export interface AttackResult {
  readonly name: string;
  readonly kind: Attack["kind"];
  readonly held: boolean;
  /** What became of the attacker, in a word or two. */
  readonly outcome: string;
  readonly problems: readonly string[];
  readonly took_ms: number;
  /** Longest that the kernel and the other tenant were waited for meanwhile. */
  readonly worst_health_ms: number;
  readonly worst_bystander_ms: number;
  /** From the attack's end until the neighbour had answered. */
  readonly neighbour_ms: number;
}

export interface GroundOptions {
  /** A client of the kernel's owner, for a tenant or for the whole kernel. */
  readonly client: (tenant?: string) => Client;
  readonly clock: Clock;
}

const ATTACKER = "attacker";
const COUNTER = `export default { init: () => ({ count: 0 }), calls: { count: (solo) => (solo.state.count += 1) }, casts: { poke() {} } };`;
/** For attackers that may never end by themselves. */
const CALL_MS = 1000;
const STARTUP_MS = 2000;
/** For those that do, however busy the machine is. */
const PATIENT_MS = 10_000;
const limitsOf = (words: readonly string[]) => ({
  limits: {
    memory_mb: 64,
    call_timeout_ms: words.includes("deadline_exceeded") ? CALL_MS : PATIENT_MS,
  },
  restart_limits: {
    max_restarts: 2,
    max_seconds: 60,
    startup_timeout_ms: words.includes("refused startup_timeout") ? STARTUP_MS : PATIENT_MS,
    shutdown_timeout_ms: 500,
  },
});
/** Nothing of the attacker itself ends so. */
const ENDED_TOO_SOON: ReadonlySet<string> = new Set([
  "outcome_unknown → lives",
  "refused startup_failed",
]);
/** Beyond this, whoever asked is as good as unanswered. */
const ANSWER_MS = 3000;
/** An attacker's own call is over by then, one way or the other. */
const SETTLED_MS = 15_000;
/** What loops with nobody waiting is ended at its call's limit. */
const ENDED_MS = PATIENT_MS + 5000;
const RECOVERED_MS = 5000;
const LOOK_AGAIN_MS = 25;
const MAX_REPLY_CHARS = 200;
/** A flood may go on after the call that began it. */
const FLOOD_WATCHED_MS = 300;

export class Ground {
  readonly #options: GroundOptions;
  readonly #owner: Client;
  readonly #mallory: Client;
  readonly #bystander: Client;
  #neighbourCount = 0;
  #witnessCount = 0;

  private constructor(options: GroundOptions) {
    this.#options = options;
    this.#owner = options.client();
    this.#mallory = options.client("mallory");
    this.#bystander = options.client("bystander");
  }

  static async open(options: GroundOptions): Promise<Ground> {
    const ground = new Ground(options);
    await ground.#bystander.deploy({ service_id: "witness", code: COUNTER });
    await ground.#mallory.deploy({
      service_id: "neighbour",
      code: COUNTER,
      persistence: "durable",
    });
    return ground;
  }

  async attack(attack: Attack): Promise<AttackResult> {
    const { clock } = this.#options;
    const begun = clock.now();
    const watch = (ask: () => Promise<void>) => new Watcher({ clock, ask });
    const health = watch(() => this.#askHealth());
    const witness = watch(() => this.#askWitness());
    const { expect } = attack;
    let outcome = await this.#run(attack);
    if (!isExpected(outcome, expect) && ENDED_TOO_SOON.has(outcome)) {
      await this.#remove(attack);
      outcome = await this.#run(attack);
    }
    if (attack.kind === "flood") await sleep(FLOOD_WATCHED_MS);
    const ended = clock.now();
    const problems = isExpected(outcome, expect) ? [] : [`expected: ${expect}`];
    problems.push(...(await this.#neighbourIsBack()));
    const neighbour_ms = clock.now() - ended;
    const seen = { kernel: await health.stop(), "other tenant": await witness.stop() };
    for (const [who, { failures }] of Object.entries(seen)) {
      problems.push(...failures.map((failure) => `the ${who}: ${failure}`));
    }
    problems.push(...(await this.#remove(attack)), ...(await this.#kernelIsWhole()));
    return {
      name: attack.name,
      kind: attack.kind,
      held: problems.length === 0,
      outcome,
      problems,
      took_ms: ended - begun,
      worst_health_ms: seen.kernel.worstMs,
      worst_bystander_ms: seen["other tenant"].worstMs,
      neighbour_ms,
    };
  }

  /** Deploys and calls; says what came of it (outcome.ts). */
  async #run(attack: Attack): Promise<string> {
    const { code, files, update, persistence, capabilities, expect } = attack;
    const deployed = await answerOf(
      this.#mallory.deploy(
        {
          service_id: ATTACKER,
          ...(code !== undefined && { code }),
          ...(files !== undefined && { files }),
          ...limitsOf(wordsOf(expect)),
          ...(persistence !== undefined && { persistence }),
          ...(capabilities && { capabilities: [...capabilities] }),
        },
        { timeoutMs: SETTLED_MS },
      ),
    );
    if (deployed.error !== undefined) return `refused ${deployed.error.code}`;
    if (update !== undefined) {
      const updated = await answerOf(
        this.#mallory.update({ service_id: ATTACKER, code: update }, { timeoutMs: SETTLED_MS }),
      );
      if (updated.error !== undefined) return `refused ${updated.error.code}`;
    }
    const { value, error } = await answerOf(
      this.#mallory.call({ service_id: ATTACKER, name: "attack" }, { timeoutMs: SETTLED_MS }),
    );
    const reply = namesReply(expect)
      ? (JSON.stringify(value?.reply) ?? "undefined").slice(0, MAX_REPLY_CHARS)
      : "replied";
    const heard = error?.code ?? reply;
    return [heard, ...(await this.#end(heard, expect))].join(ARROW);
  }

  /** How its instance ended, and that it was not started again; `lives` if it did not end. */
  async #end(heard: string, expect: string): Promise<string[]> {
    const look = async () => {
      const { last_crash } = await this.#mallory.status({ service_id: ATTACKER });
      // That its process ended for another's sake says nothing of the attacker.
      const isItsOwn = last_crash?.innocent !== true || last_crash.suspect === true;
      return isItsOwn ? (last_crash ?? undefined) : undefined;
    };
    // Only an instance that is gone leaves its caller with one of these.
    const must = !mayLive(expect) || heard === "service_crashed" || heard === "outcome_unknown";
    const crash = await this.#until(must ? ENDED_MS : 0, look);
    if (crash === undefined) return ["lives"];
    const quarantined = await this.#until(ENDED_MS, async () => {
      const { state } = await this.#mallory.status({ service_id: ATTACKER });
      if (state === "quarantined") return true;
      return state === "running" ? false : undefined;
    });
    return quarantined === true ? [crash.reason, "quarantined"] : [crash.reason];
  }

  async #neighbourIsBack(): Promise<string[]> {
    let asked = 0;
    const count = await this.#until(RECOVERED_MS, async () => {
      asked += 1;
      const { reply } = await this.#mallory.call(
        { service_id: "neighbour", name: "count" },
        { timeoutMs: ANSWER_MS },
      );
      return Number(reply);
    });
    if (count === undefined) return ["its neighbour does not answer"];
    // A call whose outcome nobody knows may have counted.
    const before = this.#neighbourCount;
    this.#neighbourCount = count;
    return count > before && count <= before + asked
      ? []
      : [`its neighbour lost its state: ${count} after ${before}`];
  }

  async #askHealth(): Promise<void> {
    const { status } = await this.#bystander.health({}, { timeoutMs: ANSWER_MS });
    if (status !== "ok") throw new Error(`it is ${status}`);
  }

  async #askWitness(): Promise<void> {
    const { reply } = await this.#bystander.call(
      { service_id: "witness", name: "count" },
      { timeoutMs: ANSWER_MS },
    );
    const before = this.#witnessCount;
    this.#witnessCount = Number(reply);
    if (reply !== before + 1)
      throw new Error(`it lost its state: ${this.#witnessCount} after ${before}`);
  }

  async #remove({ kind }: Attack): Promise<string[]> {
    // How a service takes its end is part of a life cycle's attack.
    const force = kind !== "lifecycle";
    const { error } = await answerOf(
      this.#mallory.kill(
        { service_id: ATTACKER, force, timeout_ms: 1000 },
        { timeoutMs: SETTLED_MS },
      ),
    );
    if (error === undefined || error.code === "service_not_found") return [];
    return [`it cannot be removed: ${error.message}`];
  }

  async #kernelIsWhole(): Promise<string[]> {
    const { events } = await this.#owner.listEvents({
      event_type: "system_child_exited",
      limit: 1,
    });
    return events.length === 0 ? [] : ["a part of the kernel failed"];
  }

  /** The first answer of `look` within the time; what it throws counts as none. */
  async #until<T>(ms: number, look: () => Promise<T | undefined>): Promise<T | undefined> {
    const { clock } = this.#options;
    const deadline = clock.now() + ms;
    for (;;) {
      const { value } = await answerOf(look());
      if (value !== undefined || clock.now() > deadline) return value;
      await sleep(LOOK_AGAIN_MS);
    }
  }
}

async function answerOf<T>(asked: Promise<T>): Promise<{ value?: T; error?: SoloError }> {
  try {
    return { value: await asked };
  } catch (error) {
    if (error instanceof SoloError) return { error };
    throw error;
  }
}
