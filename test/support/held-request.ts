/** A request to a service that lasts until the test says so: the end of its body is held back. */
import type { TestTenant } from "./tenant.ts";

export interface HeldRequest {
  /** Sends the end of the body; resolves with what the service answers to the whole of it. */
  finish(): Promise<string>;
}

/** To a `fetch` that waits for its request's body. */
export function holdRequest(tenant: TestTenant, service: string): HeldRequest {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  const writer = writable.getWriter();
  void writer.write(new TextEncoder().encode("held"));
  const answer = tenant
    .ingress(service, "/", { method: "POST", body: readable, duplex: "half" })
    .then((response) => response.text());
  answer.catch(() => {});
  return {
    finish: async () => {
      await writer.close();
      return answer;
    },
  };
}
