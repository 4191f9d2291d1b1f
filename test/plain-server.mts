import { Server, ServerCredentials } from "@grpc/grpc-js";
import { operationCodecs } from "../src/api/proto.ts";
const { request, response } = operationCodecs.Call;
let calls=0; let last=process.cpuUsage(), lastN=0; setInterval(()=>{const u=process.cpuUsage(last); if(calls>lastN) console.log("server us/call", ((u.user+u.system)/(calls-lastN)).toFixed(1), calls-lastN); last=process.cpuUsage(); lastN=calls;},1000).unref();
const s = new Server({ "grpc.enable_channelz": Number(process.env.CZ ?? 0), ...(process.env.MCS? {"grpc.max_concurrent_streams": Number(process.env.MCS)}:{}) });
s.register("/solo.v1.Solo/Call", (call:any, cb:any)=>{ calls++; const i=request.decode(call.request); cb(null, response.encode({reply:(i.args as any)[0]})); }, (b:any)=>Buffer.from(b), (b:any)=>b, "unary");
s.bindAsync("127.0.0.1:50999", ServerCredentials.createInsecure(), (e,p)=>console.log("plain",e,p));
process.once("SIGTERM", ()=>{ console.log(process.cpuUsage()); process.exit(0)});
