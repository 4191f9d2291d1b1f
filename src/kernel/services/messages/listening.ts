/**
 * What one instance has subscribed to and monitors: `solo.subscribe`, `solo.monitor`.
 *
 * 1. It ends with the instance, and outlives one that sleeps, also over the kernel's restart.
 * 2. A channel is heard once, however often it was asked for.
 */
import { SoloError } from "#base/errors.ts";
import type { TenantId } from "#base/ids.ts";
import type { Channels, Listener } from "#kernel/services/messages/channels.ts";

const MAX_CHANNELS = 100;

export interface ListeningOptions {
  readonly channels: Channels;
  readonly tenant: TenantId;
  readonly listener: Listener;
}

export class Listening {
  #options: ListeningOptions;
  readonly #stops = new Map<string, () => void>();

  constructor(options: ListeningOptions) {
    this.#options = options;
  }

  /** What comes is another receiver's: the service's next revision. */
  redirect(options: ListeningOptions): void {
    this.#options = options;
  }

  start(resource: string): void {
    if (this.#stops.has(resource)) return;
    if (this.#stops.size >= MAX_CHANNELS) {
      throw new SoloError(
        "limit_exceeded",
        `The instance listens to ${MAX_CHANNELS} topics and services already.`,
        { hint: "Cancel those that it no longer needs, or use one topic for several things." },
      );
    }
    const now = () => this.#options.listener;
    const listener: Listener = {
      get actor() {
        return now().actor;
      },
      deliver: (json) => now().deliver(json),
    };
    const { channels, tenant } = this.#options;
    this.#stops.set(resource, channels.listen({ tenant, resource }, listener));
  }

  stop(resource: unknown): void {
    this.#stops.get(resource as string)?.();
    this.#stops.delete(resource as string);
  }

  clear(): void {
    for (const resource of this.#stops.keys()) this.stop(resource);
  }

  /** For the record of a replica that goes to sleep. */
  dormant(): string[] {
    return [...this.#stops.keys()];
  }

  revive(resources: readonly string[]): void {
    for (const resource of resources) this.start(resource);
  }
}
