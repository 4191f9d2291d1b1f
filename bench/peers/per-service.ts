/**
 * The smallest server that takes source over HTTP and runs each service in a worker thread
 * or a child process of its own (first argument). Nothing durable, supervised or limited.
 */
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { startHosted, type Hosted, type HostKind } from "./hosts.ts";

const kind = process.argv[2] as HostKind;
const services = new Map<string, Hosted>();

const server = createServer((request, response) => {
  void handle(request).then((answer) => {
    const body = JSON.stringify(answer);
    response
      .writeHead(200, {
        "content-type": "application/json",
        "content-length": Buffer.byteLength(body),
      })
      .end(body);
  });
});

async function handle(request: IncomingMessage): Promise<unknown> {
  let text = "";
  for await (const part of request.setEncoding("utf8")) text += part;
  const body = JSON.parse(text) as { service_id: string; code: string; args: unknown[] };
  const [, , id, , name] = request.url!.split("/");
  if (id !== undefined && name !== undefined)
    return { reply: await services.get(id)!.call(name, body.args) };
  services.set(body.service_id, await startHosted(kind, body.code));
  return { service_id: body.service_id };
}

server.listen(0, "127.0.0.1", () => process.send?.((server.address() as AddressInfo).port));
process.on("disconnect", () => process.exit());
process.on("SIGTERM", () => {
  void Promise.all([...services.values()].map((each) => each.stop())).then(() => process.exit());
});
