/** A kernel's REST side as a script: answers what a test says, and remembers what it was asked. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ERRORS, type ErrorCode } from "#base/errors.ts";

export const TOKEN = "solo_test_owner";

export interface FakeRequest {
  readonly route: string;
  readonly query: Readonly<Record<string, string>>;
  readonly headers: IncomingMessage["headers"];
  readonly body: unknown;
}

export type Answer = (request: FakeRequest, response: ServerResponse) => unknown;

export const json =
  (body: unknown, status = 200): Answer =>
  (_request, response) =>
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));

export const problem = (code: ErrorCode, more: object = {}): Answer => {
  const { http: status, title } = ERRORS[code];
  const body = { type: `/docs/errors#${code}`, title, status, code, detail: `It is ${code}.` };
  return (_request, response) =>
    response
      .writeHead(status, { "content-type": "application/problem+json" })
      .end(JSON.stringify({ ...body, ...more }));
};

export const EVENT = {
  timestamp: "1",
  wall_clock: "2026-01-01T00:00:00.000Z",
  tenant_id: "default",
  event_type: "service_started",
  subject: "counter",
  payload: { n: 1 },
  causation_id: null,
};

export const sse = (id: number, more: object = {}): string => {
  const event = { id, ...EVENT, ...more };
  return `id: ${id}\nevent: ${event.event_type}\ndata: ${JSON.stringify(event)}\n\n`;
};

export const openSse = (response: ServerResponse): ServerResponse => {
  response.writeHead(200, { "content-type": "text/event-stream" }).write("retry: 1\n\n");
  return response;
};

/** An address where nothing listens any more. */
export async function closedUrl(): Promise<string> {
  await using kernel = await FakeKernel.start();
  return kernel.url;
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  let text = "";
  for await (const chunk of request) text += String(chunk);
  return text === "" ? undefined : JSON.parse(text);
}

export class FakeKernel implements AsyncDisposable {
  readonly requests: FakeRequest[] = [];
  readonly dataDir: string;
  readonly #server: Server;
  readonly #answers = new Map<string, Answer>();

  private constructor(server: Server, dataDir: string) {
    this.#server = server;
    this.dataDir = dataDir;
    server.on("request", (request, response) => void this.#serve(request, response));
  }

  static async start(): Promise<FakeKernel> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const kernel = new FakeKernel(server, await mkdtemp(join(tmpdir(), "solo-cli-")));
    await writeFile(join(kernel.dataDir, "kernel.json"), JSON.stringify({ http: kernel.url }));
    await writeFile(join(kernel.dataDir, "owner-token"), `${TOKEN}\n`);
    return kernel;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get last(): FakeRequest | undefined {
    return this.requests.at(-1);
  }

  /** `route` is method and path: "GET /services". */
  on(route: string, answer: Answer): this {
    this.#answers.set(route, answer);
    return this;
  }

  /** Cuts every connection, as a killed kernel does. */
  cut(): void {
    this.#server.closeAllConnections();
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(incoming.url ?? "/", this.url);
    const request: FakeRequest = {
      route: `${incoming.method} ${url.pathname}`,
      query: Object.fromEntries(url.searchParams),
      headers: incoming.headers,
      body: await bodyOf(incoming),
    };
    this.requests.push(request);
    const known = incoming.headers.authorization === `Bearer ${TOKEN}`;
    const answer = known ? this.#answers.get(request.route) : problem("unauthenticated");
    await (answer ?? problem("not_found"))(request, response);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
    await rm(this.dataDir, { recursive: true, force: true });
  }
}
