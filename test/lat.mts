import { Client, credentials } from "@grpc/grpc-js";
import { operationCodecs } from "../src/api/proto.ts";
const { request, response } = operationCodecs.Call;
const c=new Client("127.0.0.1:50999", credentials.createInsecure());
const body = { service_id: "counter", name: "increment", args: [1] };
const call=()=>new Promise<void>((res,rej)=>c.makeUnaryRequest("/solo.v1.Solo/Call",(x:any)=>Buffer.from(request.encode(x)),(b:Buffer)=>response.decode(b),body,(e)=>e?rej(e):res()));
for (const inflight of [1,4,16,64,256]) { let stop=false,n=0; const ws=Array.from({length:inflight},async()=>{while(!stop){await call();n++;}}); await new Promise(r=>setTimeout(r,1000)); n=0; const t=performance.now(); const cpu=process.cpuUsage(); await new Promise(r=>setTimeout(r,1500)); const el=performance.now()-t; const u=process.cpuUsage(cpu); console.log(inflight, Math.round(n/el*1000),"/s", "client cpu us/call", ((u.user+u.system)/n).toFixed(1), "util", ((u.user+u.system)/el/10).toFixed(0)); stop=true; await Promise.all(ws);}
c.close();
