/** grpc.health.v1: whether the gateway serves, asked once or watched. */
import { SoloError } from "#base/errors.ts";
import { SOLO_SERVICE } from "#api/proto.ts";
import type { GrpcCall } from "#gateway/grpc/call.ts";
import {
  HEALTH_SERVICE,
  SERVING_STATUS,
  healthCheckRequest,
  healthCheckResponse,
  standardCodec,
} from "#gateway/grpc/protocols.ts";
import type { Router } from "#gateway/grpc/router.ts";

const requests = standardCodec(healthCheckRequest);
const responses = standardCodec(healthCheckResponse);

/** "" is the server as a whole. */
const KNOWN = new Set(["", SOLO_SERVICE]);

export class Health {
  readonly #stopped = Promise.withResolvers<void>();
  #status: number = SERVING_STATUS.SERVING;

  constructor(router: Router) {
    router.on(`/${HEALTH_SERVICE}/Check`, (call) => this.#check(call));
    router.on(`/${HEALTH_SERVICE}/Watch`, (call) => this.#watch(call));
  }

  /** Tells every watcher NOT_SERVING and ends its stream. */
  stop(): void {
    this.#status = SERVING_STATUS.NOT_SERVING;
    this.#stopped.resolve();
  }

  async #check(call: GrpcCall): Promise<void> {
    const { service } = requests.decode(await call.readOne());
    if (!KNOWN.has(service as string))
      throw new SoloError("not_found", `There is no service ${JSON.stringify(service)} here.`, {
        hint: `Ask for "${SOLO_SERVICE}" or "".`,
      });
    call.finish(responses.encode({ status: this.#status }));
  }

  async #watch(call: GrpcCall): Promise<void> {
    const { service } = requests.decode(await call.readOne());
    const status = () =>
      KNOWN.has(service as string) ? this.#status : SERVING_STATUS.SERVICE_UNKNOWN;
    const first = status();
    call.write(responses.encode({ status: first }));
    await Promise.race([this.#stopped.promise, call.gone]);
    if (status() !== first) call.write(responses.encode({ status: status() }));
  }
}
