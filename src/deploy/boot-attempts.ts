/**
 * Which services a kernel was starting when it died, so that one that takes the kernel with it
 * does not do so at every start.
 *
 * 1. A service's name is on disk before its start begins, and is not counted against it once
 *    the start has ended, however it did.
 * 2. Names of starts that begin while one is being written go in one write.
 * 3. A record that cannot be read says nothing: starting is always possible.
 */
import { checked, withChecksum } from "#deploy/checksum.ts";
import type { Kv } from "#storage/kv.ts";

const NAMESPACE = "boot";
const KEY = "attempts";
const FORM = 1;

interface Stored {
  readonly form: number;
  /** `tenant/service`. */
  readonly starting: readonly string[];
  /** How many kernels in a row died while they started it. */
  readonly deaths: Readonly<Record<string, number>>;
}

export interface EarlierAttempts {
  /** How many kernels in a row died while they started the service `tenant/service`. */
  readonly deaths: ReadonlyMap<string, number>;
  /** Those that the last one was starting when it died. */
  readonly unfinished: ReadonlySet<string>;
}

export class BootAttempts {
  readonly #kv: Kv;
  readonly #starting = new Set<string>();
  #deaths = new Map<string, number>();
  /** There may be a record on disk. */
  #isStored = true;
  #writing: Promise<void> = Promise.resolve();
  /** Begins when the one under way has ended, and takes everything that is known by then. */
  #next: Promise<void> | undefined;

  constructor(kv: Kv) {
    this.#kv = kv;
  }

  /** What earlier kernels have left. */
  async open(): Promise<EarlierAttempts> {
    const { starting, deaths } = await this.#read();
    this.#deaths = new Map(Object.entries(deaths));
    for (const name of starting) this.#deaths.set(name, (this.#deaths.get(name) ?? 0) + 1);
    return { deaths: new Map(this.#deaths), unfinished: new Set(starting) };
  }

  /** Resolves when it is on disk that the service's start has begun. */
  async begin(name: string): Promise<void> {
    this.#starting.add(name);
    await this.#write();
  }

  /** Its start has ended, and the kernel lives; on disk with the next `begin` or `settle`. */
  ended(name: string): void {
    this.#starting.delete(name);
    this.#deaths.delete(name);
  }

  /** Resolves when it is on disk which starts have ended. */
  async settle(): Promise<void> {
    await this.#write();
  }

  async #read(): Promise<Stored> {
    const none = { form: FORM, starting: [], deaths: {} };
    const entry = await this.#kv.get(NAMESPACE, KEY);
    const body = entry && checked(entry.value);
    const stored = body && (JSON.parse(body.toString()) as Stored);
    return stored?.form === FORM ? stored : none;
  }

  #write(): Promise<void> {
    this.#next ??= this.#writing.then(() => {
      this.#next = undefined;
      const put = this.#put();
      this.#writing = put.catch(() => {});
      return put;
    });
    return this.#next;
  }

  async #put(): Promise<void> {
    if (this.#starting.size === 0 && this.#deaths.size === 0) {
      if (!this.#isStored) return;
      await this.#kv.batch([{ op: "delete", ns: NAMESPACE, key: KEY }]);
      this.#isStored = false;
      return;
    }
    this.#isStored = true;
    const stored: Stored = {
      form: FORM,
      starting: [...this.#starting],
      deaths: Object.fromEntries(this.#deaths),
    };
    const value = withChecksum(JSON.stringify(stored));
    await this.#kv.batch([{ op: "put", ns: NAMESPACE, key: KEY, value }]);
  }
}
