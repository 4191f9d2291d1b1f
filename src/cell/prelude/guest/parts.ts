/** A segment answers for its names one by one, and evaluates a module when it is needed. */

export interface Part {
  readonly names: readonly string[];
  readonly load: () => unknown;
}

export type Load = (name: string) => unknown;

/**
 * While a part's module is being evaluated its names read as undefined, which is what
 * a package that looks for a native implementation of itself should find.
 */
export function loadFrom(parts: readonly Part[]): Load {
  const byName = new Map<string, () => unknown>();
  for (const { names, load } of parts) {
    let loading = false;
    const open = (): unknown => {
      if (loading) return undefined;
      loading = true;
      try {
        return load();
      } finally {
        loading = false;
      }
    };
    for (const name of names) byName.set(name, open);
  }
  return (name) => (byName.get(name)?.() as Record<string, unknown> | undefined)?.[name];
}
