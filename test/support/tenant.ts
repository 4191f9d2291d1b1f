/** A kernel's REST interface as one tenant sees it: plain fetch, nothing of our own client. */
import { createClient, type Client } from "#client/index.ts";

// Tests reach deep into answers; a wrong path fails the test, which is what it is for.
// oxlint-disable-next-line typescript/no-explicit-any
export type Body = Record<string, any>;

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** Parsed when it is JSON, text otherwise. */
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly body: any;
}

export interface TenantOptions {
  readonly http: () => string;
  readonly token: () => string;
  /** Sent as x-solo-tenant; the default tenant unless given. */
  readonly name?: string | undefined;
}

export interface EventFilter {
  readonly service_id?: string;
  readonly event_type?: string;
  readonly since_id?: number;
  readonly limit?: number;
  readonly newest_first?: boolean;
}

export class TestTenant {
  readonly name: string;
  readonly #options: TenantOptions;

  constructor(options: TenantOptions) {
    this.#options = options;
    this.name = options.name ?? "default";
  }

  /** The typed client, acting for this tenant. */
  get client(): Client {
    const { http, token, name } = this.#options;
    return createClient({
      url: http(),
      token: token(),
      ...(name !== undefined && { tenant: name }),
    });
  }

  get headers(): Record<string, string> {
    const { token, name } = this.#options;
    return {
      authorization: `Bearer ${token()}`,
      ...(name !== undefined && { "x-solo-tenant": name }),
    };
  }

  /** The raw response; `path` may be a service's: see `ingress`. */
  fetch(path: string, init: RequestInit & { duplex?: "half" } = {}): Promise<Response> {
    return fetch(this.#options.http() + path, {
      ...init,
      headers: { ...this.headers, ...(init.headers as object) },
    });
  }

  /** To a service's `fetch`. */
  ingress(
    service: string,
    path = "/",
    init: RequestInit & { duplex?: "half" } = {},
  ): Promise<Response> {
    return this.fetch(`/s/${this.name}/${service}${path}`, init);
  }

  /** A string or bytes as body go out as they are, anything else as JSON. */
  async request(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer> {
    const raw = typeof body === "string" || body instanceof Uint8Array;
    const response = await this.fetch(path, {
      method,
      headers: { ...(body !== undefined && { "content-type": "application/json" }), ...headers },
      ...(body !== undefined && { body: (raw ? body : JSON.stringify(body)) as string }),
    });
    const text = await response.text();
    const isJson = /\bjson\b/.test(response.headers.get("content-type") ?? "") && text !== "";
    return {
      status: response.status,
      headers: response.headers,
      body: isJson && !text.includes("\n{") ? JSON.parse(text) : text,
    };
  }

  /** Deploys; anything but 201 is an error with the answer in it. */
  async deploy(input: Body): Promise<Body> {
    return must(
      201,
      await this.request("POST", "/services", input),
      `deploy ${input["service_id"]}`,
    );
  }

  /** The reply of a call that must succeed. */
  // oxlint-disable-next-line typescript/no-explicit-any
  async call(service: string, name: string, ...args: unknown[]): Promise<any> {
    return must(200, await this.ask(service, name, args), `call ${service} ${name}`)["reply"];
  }

  /** The whole answer of a call, whatever it is. */
  ask(service: string, name: string, args: unknown[] = [], more: Body = {}): Promise<Answer> {
    return this.request("POST", `/services/${service}/calls/${name}`, { args, ...more });
  }

  async cast(service: string, name: string, ...args: unknown[]): Promise<void> {
    must(
      202,
      await this.request("POST", `/services/${service}/casts/${name}`, { args }),
      `cast ${service} ${name}`,
    );
  }

  async kill(service: string, query = ""): Promise<Body> {
    return must(
      202,
      await this.request("DELETE", `/services/${service}${query}`),
      `kill ${service}`,
    );
  }

  async status(service: string): Promise<Body> {
    return must(200, await this.request("GET", `/services/${service}`), `status ${service}`);
  }

  async list(): Promise<Body[]> {
    return must(200, await this.request("GET", "/services?limit=1000"), "list")["services"];
  }

  async logs(service: string): Promise<Body[]> {
    const response = await this.fetch(`/services/${service}/logs?limit=10000`);
    return (await response.text())
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line) as Body);
  }

  async events(filter: EventFilter = {}): Promise<Body[]> {
    const query = new URLSearchParams(
      Object.entries({ limit: 10_000, ...filter }).map(([key, value]) => [key, String(value)]),
    );
    return must(200, await this.request("GET", `/events?${query}`), "events")["events"];
  }
}

function must(status: number, answer: Answer, what: string): Body {
  if (answer.status === status) return answer.body as Body;
  throw new Error(`${what}: ${answer.status} instead of ${status}: ${JSON.stringify(answer.body)}`);
}
