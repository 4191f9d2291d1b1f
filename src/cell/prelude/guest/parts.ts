/** A segment answers for its names one by one, and evaluates a module when it is needed. */

const { defineProperty } = Object;

export interface Part {
  readonly names: readonly string[];
  readonly load: () => unknown;
}

type Exports = Record<string, unknown>;
export type Load = (name: string) => unknown;

/** The bundle shortens the names of functions and classes: those that guests see get theirs back. */
function restoreName(value: unknown, name: string): void {
  if (typeof value === "function" && value.name !== name) {
    defineProperty(value, "name", { value: name, configurable: true });
  }
}

/**
 * While a part's module is being evaluated its names read as undefined, which is what
 * a package that looks for a native implementation of itself should find.
 */
export function loadFrom(parts: readonly Part[]): Load {
  const byName = new Map<string, () => Exports | undefined>();
  for (const { names, load } of parts) {
    let loading = false;
    let loaded: Exports | undefined;
    const open = (): Exports | undefined => {
      if (loading || loaded !== undefined) return loaded;
      loading = true;
      try {
        loaded = load() as Exports;
        for (const name of names) restoreName(loaded[name], name);
        return loaded;
      } finally {
        loading = false;
      }
    };
    for (const name of names) byName.set(name, open);
  }
  return (name) => byName.get(name)?.()?.[name];
}
