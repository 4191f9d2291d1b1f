import { GrpcGateway } from "/work/main/src/gateway/grpc/gateway.ts";
import { fakeKernel } from "/work/main/test/support/fake-kernel.ts";
import { silentLogger } from "/work/main/src/base/log.ts";
let calls=0; let last=process.cpuUsage(), lastN=0; setInterval(()=>{const u=process.cpuUsage(last); if(calls>lastN) console.log("server us/call", ((u.user+u.system)/(calls-lastN)).toFixed(1), calls-lastN); last=process.cpuUsage(); lastN=calls;},1000).unref();
const g = await GrpcGateway.start({ kernel: fakeKernel({calls:{ Call: (i)=>(calls++, {reply: (i.args as any)?.[0] ?? null}) }}), host: "127.0.0.1", port: 50999, log: silentLogger });
console.log(g.address);
process.once("SIGTERM", async () => { const t=performance.now(); await g.stop({graceMs:1000}); console.log("stopped", performance.now()-t, process.cpuUsage()); });
