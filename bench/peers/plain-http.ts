/** Plain Node http doing the same work: parse, add, answer. No services, nothing durable. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

const server = createServer((request, response) => {
  if (request.method === "GET") {
    response.writeHead(200, { "content-type": "text/plain", "content-length": 5 }).end("hello");
    return;
  }
  let text = "";
  request.setEncoding("utf8").on("data", (part: string) => (text += part));
  request.on("end", () => {
    const { args } = JSON.parse(text) as { args: [number, number] };
    const body = JSON.stringify({ reply: args[0] + args[1] });
    response
      .writeHead(200, { "content-type": "application/json", "content-length": body.length })
      .end(body);
  });
});
server.listen(0, "127.0.0.1", () => process.send?.((server.address() as AddressInfo).port));
process.on("disconnect", () => process.exit());
