/** What MCP sees of a kernel: the catalogue's operations, for one caller who is known already. */
import type { OperationName } from "#api/catalogue.ts";

export interface Caller {
  /** Throws a SoloError; so does the stream. */
  call(name: OperationName, input: unknown, signal: AbortSignal): Promise<unknown>;
  stream(name: OperationName, input: unknown, signal: AbortSignal): AsyncIterable<unknown>;
}

export async function collected(stream: AsyncIterable<unknown>): Promise<unknown[]> {
  const items: unknown[] = [];
  for await (const item of stream) items.push(item);
  return items;
}
