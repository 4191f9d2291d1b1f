/** A gateway on a free port before a kernel in memory, and raw sockets to be rude with. */
import net from "node:net";
import { onTestFinished } from "vitest";
import { silentLogger } from "#base/log.ts";
import { RestGateway, type RestGatewayOptions } from "#gateway/rest/gateway.ts";
import { fakeKernel, TOKEN, type FakeKernel, type FakeKernelOptions } from "./fake-rest-kernel.ts";
import { DEADLINE_MS } from "./until.ts";

export interface Harness {
  readonly gateway: RestGateway;
  readonly kernel: FakeKernel;
  readonly url: string;
  readonly port: number;
}

export async function startGateway(
  kernelOptions: FakeKernelOptions = {},
  options: Partial<RestGatewayOptions> = {},
): Promise<Harness> {
  const kernel = fakeKernel(kernelOptions);
  const gateway = await RestGateway.start({
    kernel,
    host: "127.0.0.1",
    port: 0,
    log: silentLogger,
    version: "1.2.3",
    readPage: async (name) => `# ${name}`,
    ...options,
  });
  onTestFinished(() => gateway.stop({ graceMs: 0 }));
  return { gateway, kernel, url: gateway.address.url, port: gateway.address.port };
}

export const AUTH = { authorization: `Bearer ${TOKEN}` } as const;

export const sendJson = (url: string, body: unknown, method = "POST"): Promise<Response> =>
  fetch(url, {
    method,
    headers: { ...AUTH, "content-type": "application/json" },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });

export interface ProblemBody {
  readonly [field: string]: unknown;
  readonly code: string;
  readonly detail: string;
  readonly hint: string;
  readonly errors: { field: string; message: string }[];
}

export const problemOf = async (response: Response): Promise<ProblemBody> =>
  (await response.json()) as ProblemBody;

/** A connection that says exactly what it is told to. */
export class RawClient {
  readonly socket: net.Socket;
  readonly closed: Promise<void>;
  text = "";

  constructor(port: number) {
    this.socket = net.connect(port, "127.0.0.1");
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    this.socket.on("data", (chunk) => (this.text += chunk.toString("latin1")));
    this.socket.on("error", () => {});
    this.socket.on("close", () => resolve());
    onTestFinished(() => {
      this.socket.destroy();
    });
  }

  send(text: string | Uint8Array): void {
    this.socket.write(text);
  }

  /** Waits until what came so far satisfies `done`. */
  async until(done: (text: string) => boolean, ms = DEADLINE_MS): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const check = () => {
      if (done(this.text)) resolve(this.text);
    };
    const timer = setTimeout(() => reject(new Error(`waited in vain; got: ${this.text}`)), ms);
    this.socket.on("data", check);
    check();
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.socket.off("data", check);
    }
  }

  async request(lines: readonly string[], body = ""): Promise<string> {
    this.send(`${lines.join("\r\n")}\r\n\r\n${body}`);
    return await this.until((text) => text.includes("\r\n\r\n"));
  }
}
