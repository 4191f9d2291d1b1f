/**
 * What services hear without having asked for it each time: topics, and the end of services
 * that they monitor. A channel is a resource of a tenant: `topic:news`, `service:ledger`.
 *
 * 1. Nothing crosses from one tenant to another.
 * 2. Whoever hears must still be allowed to when it is told, not only when it began.
 * 3. Nothing is kept for later: who does not listen does not hear.
 */
import type { TenantId } from "#base/ids.ts";
import type {
  Actor,
  ServiceAuthority,
  ServiceNeed,
} from "#kernel/services/host/service-authority.ts";

export interface Channel {
  readonly tenant: TenantId;
  /** As src/capability/resource.ts writes it. */
  readonly resource: string;
}

export interface Listener {
  readonly actor: Actor;
  /** False when its mailbox did not take the message. */
  readonly deliver: (json: string) => boolean;
}

/** Why a service that is monitored is not what it was. */
export interface Down {
  readonly service: string;
  readonly reason: "crashed" | "quarantined" | "killed";
  readonly message: string;
}

const nameOf = ({ tenant, resource }: Channel): string => `${tenant}/${resource}`;

/** What it takes to hear it. */
export const hearing = (resource: string): ServiceNeed => ({
  permission: resource.startsWith("topic:") ? "subscribe" : "read",
  resource,
});

export class Channels {
  readonly #authority: Pick<ServiceAuthority, "allows">;
  readonly #listeners = new Map<string, Set<Listener>>();

  constructor(authority: Pick<ServiceAuthority, "allows">) {
    this.#authority = authority;
  }

  /** Until what is returned is called. */
  listen(channel: Channel, listener: Listener): () => void {
    const name = nameOf(channel);
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners.add(listener));
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.#listeners.get(name) === listeners)
        this.#listeners.delete(name);
    };
  }

  /** How many took it. */
  tell(channel: Channel, json: string): number {
    let took = 0;
    for (const listener of this.#listeners.get(nameOf(channel)) ?? []) {
      if (!this.#authority.allows(listener.actor, hearing(channel.resource))) continue;
      if (listener.deliver(json)) took += 1;
    }
    return took;
  }

  down(tenant: TenantId, down: Down): void {
    const { service, reason, message } = down;
    const channel = { tenant, resource: `service:${service}` };
    this.tell(channel, JSON.stringify({ kind: "down", service, reason, message }));
  }
}
