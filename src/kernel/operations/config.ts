/** The configuration, as the catalogue shows it. */
import type { Handlers } from "#kernel/operations/handlers.ts";
import type { Settings } from "#kernel/settings.ts";

export const configHandlers = (settings: Settings): Pick<Handlers, "GetConfig" | "SetConfig"> => ({
  GetConfig: ({ key }) => ({ settings: settings.list(key) }),
  async SetConfig({ key, value = null }) {
    await settings.change({ [key]: value });
    // A tenant's own limit that was taken back is in force no longer.
    const [view] = settings.from(key) === undefined ? [] : settings.list(key);
    return view ?? { key, value: null, from: "default", runtime: true };
  },
});
