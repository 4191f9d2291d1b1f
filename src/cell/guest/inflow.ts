/**
 * A body on its way into the guest: pieces arrive in turns, a stream hands them on.
 *
 * 1. Credit is given for what a reader took, and for nothing else.
 * 2. A reader always hears the end: of the body, of the exchange, or why it broke off.
 */
export interface InflowOptions {
  /** A reader has taken so many bytes. */
  readonly taken: (bytes: number) => void;
  /** Nobody reads on. */
  readonly unwanted: () => void;
  /** The stream has told its end. */
  readonly over: () => void;
}

export interface Inflow {
  readonly stream: ReadableStream<Uint8Array>;
  push(bytes: Uint8Array): void;
  end(): void;
  fail(error: unknown): void;
}

interface State {
  ended: boolean;
  broken: { readonly error: unknown } | undefined;
  wake: (() => void) | undefined;
}

export function createInflow({ taken, unwanted, over }: InflowOptions): Inflow {
  const queue: Uint8Array[] = [];
  const body: State = { ended: false, broken: undefined, wake: undefined };

  const stream = new ReadableStream<Uint8Array>(
    {
      // Runs only when a reader asks (high-water mark 0), so what was given is what was taken.
      async pull(controller) {
        while (queue.length === 0 && !body.ended && body.broken === undefined) {
          await new Promise<void>((resolve) => (body.wake = resolve));
        }
        const chunk = queue.shift();
        if (body.broken !== undefined) {
          controller.error(body.broken.error);
        } else if (chunk !== undefined) {
          controller.enqueue(chunk);
          taken(chunk.length);
        } else {
          over();
          controller.close();
        }
      },
      cancel() {
        body.broken = { error: undefined };
        body.wake?.();
        unwanted();
      },
    },
    { highWaterMark: 0 },
  );
  return {
    stream,
    push(bytes) {
      queue.push(bytes);
      body.wake?.();
    },
    end() {
      body.ended = true;
      body.wake?.();
    },
    fail(error) {
      body.broken ??= { error };
      body.wake?.();
    },
  };
}
