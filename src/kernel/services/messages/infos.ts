/** The `info` messages that an instance has asked for: from its timers, and from what it listens to. */
import type { ServiceBounds } from "#kernel/limits/book.ts";
import type { Killable } from "#kernel/limits/service-limits.ts";
import type { Dispatch, Outcome } from "#kernel/services/messages/dispatch.ts";
import type { Message } from "#kernel/services/messages/inbox.ts";
import { Listening, type ListeningOptions } from "#kernel/services/messages/listening.ts";
import {
  MessageTimers,
  type MessageTimersOptions,
} from "#kernel/services/messages/message-timers.ts";
import type { ServicePowers } from "#kernel/services/powers.ts";
import type { Actor } from "#kernel/services/host/service-authority.ts";

export interface InfosOptions {
  readonly powers: Pick<ServicePowers, "clock" | "channels">;
  readonly limits: ServiceBounds["limits"];
  readonly receiver: Actor & Killable & { send(message: Message): Dispatch };
}

export class Infos {
  readonly #options: InfosOptions;
  readonly timers: MessageTimers;
  readonly listening: Listening;

  /** `before`: those of a predecessor, which run on until `redirect`. */
  constructor(options: InfosOptions, before?: Infos) {
    this.#options = options;
    this.timers = before?.timers ?? new MessageTimers(this.#timerOptions);
    this.listening = before?.listening ?? new Listening(this.#listeningOptions);
  }

  /** From now on they come to this one's receiver. */
  redirect(): void {
    this.timers.redirect(this.#timerOptions);
    this.listening.redirect(this.#listeningOptions);
  }

  clear(): void {
    this.timers.clear();
    this.listening.clear();
  }

  get #timerOptions(): MessageTimersOptions {
    const { powers, limits, receiver } = this.#options;
    const outcome = { reply: () => {}, fail: () => {} };
    return {
      clock: powers.clock,
      deliver: (payload) => receiver.send(infoOf(payload, outcome)),
      started: () => limits.timerStarted(receiver),
      ended: () => limits.timerEnded(),
    };
  }

  get #listeningOptions(): ListeningOptions {
    const { powers, receiver } = this.#options;
    const deliver = (payload: string): boolean => {
      let taken = true;
      const outcome = { reply: () => {}, fail: () => void (taken = false) };
      receiver.send(infoOf(payload, outcome));
      // A refusal comes within `send`; what becomes of it later is nobody's answer.
      return taken;
    };
    return {
      channels: powers.channels,
      tenant: receiver.key.tenant,
      listener: { actor: receiver, deliver },
    };
  }
}

const infoOf = (payload: string, outcome: Outcome): Message => ({
  kind: "info",
  handler: "info",
  payload,
  outcome,
});
