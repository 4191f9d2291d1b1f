/** A plain grpc-js server doing the same work: one rpc that adds. */
import { Server, ServerCredentials, type sendUnaryData, type ServerUnaryCall } from "@grpc/grpc-js";
import { soloService, type CallAnswer, type CallRequest } from "../load/grpc-client.ts";

const number = (value: unknown): number => (value as { numberValue: number }).numberValue;

const server = new Server();
server.addService(soloService(), {
  Call({ request }: ServerUnaryCall<CallRequest, CallAnswer>, answer: sendUnaryData<CallAnswer>) {
    const [a, b] = request.args.map(number) as [number, number];
    answer(null, { reply: { numberValue: a + b } });
  },
});
server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error;
  process.send?.(port);
});
process.on("disconnect", () => process.exit());
