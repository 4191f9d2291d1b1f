import { Client, credentials } from "/work/main/node_modules/@grpc/grpc-js/build/src/index.js";
import { operationCodecs } from "/work/main/src/api/proto.ts";
const conns = Number(process.argv[2] ?? 1), inflight=64;
const cs = Array.from({length:conns},()=>new Client("127.0.0.1:50999", credentials.createInsecure(), {"grpc.use_local_subchannel_pool":1}));
const { request, response } = operationCodecs.Call;
const body = { service_id: "counter", name: "increment", args: [1] };
let n=0; let stop=false; const ser=(x:any)=>Buffer.from(request.encode(x)); const de=(b:Buffer)=>response.decode(b);
async function worker(c){ while(!stop){ await new Promise<void>((res,rej)=>c.makeUnaryRequest("/solo.v1.Solo/Call",ser,de,body,(e,r)=>{ if(e) rej(e); else {n++;res();}})); } }
const ws=Array.from({length:inflight},(_, i)=>worker(cs[i%conns]));
await new Promise(r=>setTimeout(r,2000)); n=0; const t=performance.now(); await new Promise(r=>setTimeout(r,4000)); console.log(conns, "conns", Math.round(n/((performance.now()-t)/1000)), "/s"); stop=true; await Promise.all(ws); cs.forEach(c=>c.close());
