/** REST by hand over one kept connection; every answer is checked. */
import { encode, HttpConnection, type Endpoint } from "./http-connection.ts";

export interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

export class RestClient implements Disposable {
  readonly #at: Endpoint;
  readonly #connection: HttpConnection;
  readonly #headers: Readonly<Record<string, string>>;

  private constructor(
    at: Endpoint,
    connection: HttpConnection,
    headers: Readonly<Record<string, string>>,
  ) {
    this.#at = at;
    this.#connection = connection;
    this.#headers = headers;
  }

  static async open({
    at,
    token,
    tenant,
  }: {
    at: Endpoint;
    token?: string;
    tenant?: string;
  }): Promise<RestClient> {
    const headers = {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(tenant !== undefined && { "x-solo-tenant": tenant }),
    };
    return new RestClient(at, await HttpConnection.open(at), headers);
  }

  post(path: string, body: unknown): Promise<Answer> {
    return this.#send("POST", path, body);
  }

  put(path: string, body: unknown): Promise<Answer> {
    return this.#send("PUT", path, body);
  }

  async #send(method: "POST" | "PUT", path: string, body: unknown): Promise<Answer> {
    const answer = await this.#connection.send(
      encode(this.#at, { method, path, headers: this.#headers, body }),
    );
    return { status: answer.status, body: JSON.parse(answer.body) as Record<string, unknown> };
  }

  async deploy(service: string, spec: { code: string; [field: string]: unknown }): Promise<void> {
    const { status, body } = await this.post("/services", { service_id: service, ...spec });
    if (status >= 300) throw new Error(`deploy of ${service}: ${status} ${JSON.stringify(body)}`);
  }

  async call(service: string, name: string, args: readonly unknown[]): Promise<unknown> {
    const { status, body } = await this.post(`/services/${service}/calls/${name}`, { args });
    if (status !== 200)
      throw new Error(`call of ${service}.${name}: ${status} ${JSON.stringify(body)}`);
    return body["reply"];
  }

  [Symbol.dispose](): void {
    this.#connection.close();
  }
}
