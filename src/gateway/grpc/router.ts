/**
 * From an HTTP/2 stream to the handler of its path.
 *
 * 1. Every call ends, whatever its handler does: well when it returns, with a status when it
 *    throws. Every status has a code of Solo's error table.
 * 2. What Solo did not foresee goes to the log, and leaves as `internal` without its text.
 */
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { SoloError, toSoloError } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import { GrpcCall } from "#gateway/grpc/call.ts";
import { tokenOf } from "#gateway/grpc/request.ts";
import { Allowance } from "#gateway/grpc/frames.ts";
import type { ConnectionCaps } from "#gateway/connection-caps.ts";
import type { GrpcLimits } from "#gateway/grpc/limits.ts";
import type { Peer } from "#gateway/tls/peer.ts";

export type Handler = (call: GrpcCall) => Promise<void>;

export interface RouterOptions {
  readonly limits: GrpcLimits;
  readonly log: Logger;
  readonly caps?: ConnectionCaps | undefined;
}

const fromPage = (): SoloError =>
  new SoloError("permission_denied", "Requests from web pages are refused here.", {
    hint: "Call Solo from a program; pages that Solo serves use REST.",
  });

export class Router {
  readonly #handlers = new Map<string, Handler>();
  readonly #limits: GrpcLimits;
  readonly #log: Logger;
  readonly #caps: ConnectionCaps | undefined;
  readonly #allowance: Allowance;

  constructor({ limits, log, caps }: RouterOptions) {
    this.#caps = caps;
    this.#limits = limits;
    this.#log = log;
    this.#allowance = new Allowance(limits.maxUnfinishedBytes);
  }

  /** `path` is `/package.Service/Method`. */
  on(path: string, handler: Handler): void {
    this.#handlers.set(path, handler);
  }

  /** Serves one stream of HTTP/2; never throws. */
  serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, peer: Peer): void {
    if (headers[":method"] !== "POST" || !headers["content-type"]?.startsWith("application/grpc")) {
      stream.on("error", () => {}).resume();
      stream.respond({ ":status": 415 }, { endStream: true });
      return;
    }
    const call = new GrpcCall({
      stream,
      headers,
      peer,
      limits: this.#limits,
      allowance: this.#allowance,
    });
    const session = stream.session;
    const refused = session && this.#caps?.refusal(session, tokenOf(headers));
    void this.#run(String(headers[":path"]), call, refused);
  }

  async #run(path: string, call: GrpcCall, refused: SoloError | undefined): Promise<void> {
    try {
      call.startDeadline();
      if (call.peer instanceof SoloError) throw call.peer;
      if (refused !== undefined) throw refused;
      // Only browsers send it, and no page of ours speaks gRPC.
      if (call.headers["origin"] !== undefined) throw fromPage();
      const handler = this.#handlers.get(path);
      if (handler === undefined)
        throw new SoloError("unimplemented", `There is no method ${path} here.`, {
          hint: "See proto/solo.proto, or ask reflection.",
        });
      await handler(call);
      call.finish();
    } catch (thrown) {
      if (!(thrown instanceof SoloError)) {
        const error = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
        this.#log.error("A gRPC call failed unexpectedly.", { path, error });
      }
      call.fail(toSoloError(thrown));
    }
  }
}
