/** Look at, carry and replace what services keep. */
import { rounded } from "#base/rounded.ts";
import type { OutputOf } from "#api/catalogue.ts";
import { viewState } from "#deploy/state-view.ts";
import type { Started } from "#kernel/deploys/deployed.ts";
import { keyOf, type Handlers } from "#kernel/operations/handlers.ts";
import type { States } from "#kernel/states.ts";

type StateHandlers = Pick<Handlers, "GetState" | "ExportState" | "ImportState" | "ResetState">;

export const stateHandlers = ({ states }: { readonly states: States }): StateHandlers => ({
  async GetState(input, asked) {
    const seen = await states.see({ ...keyOf(input, asked), slot: input.slot ?? 0 });
    const { value, truncated } = viewState(seen.state);
    return {
      state: value,
      source: seen.source,
      bytes: Buffer.byteLength(seen.state),
      ...(seen.version !== undefined && { version: seen.version }),
      ...(seen.savedAtMs !== undefined && { saved_at: new Date(seen.savedAtMs).toISOString() }),
      truncated,
    };
  },
  ExportState: async (input, asked) => ({
    document: await states.export({ ...keyOf(input, asked), slot: input.slot ?? 0 }),
  }),
  ImportState: async (input, asked) =>
    replaced(
      await states.import({ ...keyOf(input, asked), slot: input.slot ?? 0 }, input.document),
    ),
  ResetState: async (input, asked) => replaced(await states.reset(keyOf(input, asked), input.slot)),
});

const replaced = ({ service, startedInMs }: Started): OutputOf<"ImportState"> => ({
  service_id: service.key.service,
  instance_id: service.instances[0]?.id ?? "",
  started_in_ms: rounded(startedInMs),
});
