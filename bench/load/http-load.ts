/** Many connections asking for the same thing again and again; every answer is compared. */
import { closedLoop, type LoopResult } from "./closed-loop.ts";
import { encode, HttpConnection, type Endpoint, type Request } from "./http-connection.ts";

export interface HttpLoad {
  readonly at: Endpoint;
  readonly request: Request;
  readonly expected: string;
  readonly clients: number;
  readonly warmMs: number;
  readonly runMs: number;
}

export async function httpLoad({
  at,
  request,
  expected,
  clients,
  warmMs,
  runMs,
}: HttpLoad): Promise<LoopResult> {
  const bytes = encode(at, request);
  const connections = await Promise.all(
    Array.from({ length: clients }, () => HttpConnection.open(at)),
  );
  try {
    return await closedLoop({
      clients,
      warmMs,
      runMs,
      async once(client) {
        const { status, body } = await connections[client]!.send(bytes);
        if (status !== 200 || body !== expected) throw new Error(`wrong answer: ${status} ${body}`);
      },
    });
  } finally {
    for (const connection of connections) connection.close();
  }
}
