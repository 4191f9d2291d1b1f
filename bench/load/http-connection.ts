/**
 * The least HTTP/1.1 client that is correct enough to check answers: one keep-alive
 * connection, one request at a time. Cheap, because it shares the machine with what it measures.
 */
import { connect, type Socket } from "node:net";

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

export interface Answer {
  readonly status: number;
  readonly body: string;
}

export interface Request {
  readonly method: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly body?: unknown;
}

/** The bytes of a request, so that a loop makes them once. */
export function encode(
  { host, port }: Endpoint,
  { method, path, headers = {}, body }: Request,
): Buffer {
  const content = body === undefined ? "" : JSON.stringify(body);
  const all = {
    host: `${host}:${port}`,
    ...headers,
    ...(body !== undefined && {
      "content-type": "application/json",
      "content-length": Buffer.byteLength(content),
    }),
  };
  const head = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.from(`${method} ${path} HTTP/1.1\r\n${head.join("")}\r\n${content}`);
}

export class HttpConnection {
  readonly #socket: Socket;
  #received = "";
  #waiting: { resolve(answer: Answer): void; reject(error: Error): void } | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true).setEncoding("latin1");
    socket.on("data", (text: string) => this.#arrived(text));
    const end = (error?: Error) =>
      this.#waiting?.reject(error ?? new Error("The connection closed."));
    socket.on("error", end);
    socket.on("close", () => end());
  }

  static open({ host, port }: Endpoint): Promise<HttpConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, host, () => {
        socket.off("error", reject);
        resolve(new HttpConnection(socket));
      });
      socket.once("error", reject);
    });
  }

  send(bytes: Buffer): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#socket.write(bytes);
    });
  }

  close(): void {
    this.#waiting = undefined;
    this.#socket.destroy();
  }

  #arrived(text: string): void {
    this.#received += text;
    const answer = parse(this.#received);
    if (answer === undefined) return;
    this.#received = "";
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve(answer);
  }
}

/** A whole answer, or undefined while some of it is missing. */
function parse(text: string): Answer | undefined {
  const end = text.indexOf("\r\n\r\n");
  if (end === -1) return undefined;
  const head = text.slice(0, end);
  const status = Number(head.slice(9, 12));
  const rest = text.slice(end + 4);
  const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1];
  if (length !== undefined)
    return rest.length < Number(length) ? undefined : { status, body: rest };
  if (!/\r\ntransfer-encoding: chunked/i.test(head)) return { status, body: "" };
  return rest.endsWith("0\r\n\r\n") ? { status, body: unchunked(rest) } : undefined;
}

function unchunked(text: string): string {
  let body = "";
  for (let at = 0; ;) {
    const line = text.indexOf("\r\n", at);
    const size = Number.parseInt(text.slice(at, line), 16);
    if (!(size > 0)) return body;
    body += text.slice(line + 2, line + 2 + size);
    at = line + 2 + size + 2;
  }
}
