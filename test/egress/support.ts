/** A server on loopback that stands for the world, and an Egress that reaches it. */
import { createServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { SecureContextOptions } from "node:tls";
import { serviceId, tenantId, type ServiceKey } from "#base/ids.ts";
import { Egress, type EgressBounds, type EgressResponse, type Leave } from "#egress/egress.ts";
import type { Account, Granted } from "#egress/flight.ts";
import { outgoing } from "#egress/headers.ts";
import type { RedirectMode } from "#egress/redirect.ts";
import { targetOf } from "#egress/target.ts";

export interface World extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
  readonly server: Server;
  /** Connections ever taken. */
  readonly connections: () => number;
  readonly seen: readonly {
    method: string;
    path: string;
    headers: IncomingMessage["headers"];
    raw: string[];
    body: string;
  }[];
}

const bodyOf = async (request: IncomingMessage): Promise<string> => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
};

/** Listens on loopback; what it hears is in `seen`. */
export async function world(
  answer: RequestListener = (_, response) => response.end("ok"),
  make: (listener: RequestListener) => Server = createServer,
): Promise<World> {
  const seen: World["seen"][number][] = [];
  let connections = 0;
  const server = make((request, response) => {
    void bodyOf(request).then(
      (body) => {
        const { method = "", url: path = "", headers, rawHeaders: raw } = request;
        seen.push({ method, path, headers, raw, body });
        answer(request, response);
      },
      () => {},
    );
  });
  const open = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    connections += 1;
    open.add(socket);
    socket.on("close", () => open.delete(socket));
    socket.on("error", () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    server,
    seen,
    connections: () => connections,
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const BOUNDS: EgressBounds = {
  timeoutMs: 10_000,
  maxRequestBytes: 1024,
  maxResponseBytes: 1024 * 1024,
  perService: 4,
  perTenant: 6,
  maxIdle: 4,
};

/** Of a capability that names the host and never ends. */
export const GRANTED: Granted = { named: true, onEnd: () => () => {} };

export interface Asked {
  readonly url: string;
  readonly method?: string;
  readonly headers?: readonly unknown[];
  readonly body?: string;
  readonly redirect?: RedirectMode;
  readonly signal?: AbortSignal;
  readonly owner?: ServiceKey;
  readonly leave?: Partial<Leave>;
}

export const owner = (service = "a", tenant = "t"): ServiceKey => ({
  tenant: tenantId(tenant),
  service: serviceId(service),
});

export class Tried implements Disposable {
  readonly egress: Egress;
  readonly lookedUp: string[] = [];
  readonly accounts: Account[] = [];

  constructor(
    options: {
      names?: Readonly<Record<string, readonly string[]>>;
      resolve?: (host: string) => Promise<readonly string[]>;
      privateHosts?: readonly string[];
      bounds?: Partial<EgressBounds>;
      tls?: SecureContextOptions;
    } = {},
  ) {
    const { names = {}, privateHosts = ["127.0.0.1"], bounds, tls } = options;
    const resolve =
      options.resolve ??
      (async (host: string) => {
        const addresses = Object.hasOwn(names, host) ? names[host] : undefined;
        if (addresses === undefined) throw Object.assign(new Error(), { code: "ENOTFOUND" });
        return addresses;
      });
    this.egress = new Egress({
      resolve: (host) => {
        this.lookedUp.push(host);
        return resolve(host);
      },
      privateHosts,
      bounds: { ...BOUNDS, ...bounds },
      ...(tls && { tls }),
    });
  }

  ask(asked: Asked): Promise<EgressResponse> {
    const { url, method = "GET", headers = [], body, redirect = "follow" } = asked;
    return this.egress.fetch({
      owner: asked.owner ?? owner(),
      leave: {
        connect: async () => GRANTED,
        fill: async (_, given) => ({ headers: given, echo: undefined }),
        ...asked.leave,
      },
      hop: {
        target: targetOf(url),
        method,
        headers: outgoing(headers),
        body: body === undefined ? undefined : Buffer.from(body),
      },
      redirect,
      signal: asked.signal ?? new AbortController().signal,
      over: (account) => void this.accounts.push(account),
    });
  }

  /** The whole text of the answer. */
  async text(asked: Asked): Promise<string> {
    const { body } = await this.ask(asked);
    const chunks: Uint8Array[] = [];
    for await (const chunk of body ?? []) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
  }

  [Symbol.dispose](): void {
    this.egress.close();
  }
}
