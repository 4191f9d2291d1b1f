import http2 from "node:http2";
const [port, path]=[process.argv[2]??50998, process.argv[3]??"/x"];
const body=Buffer.from(process.argv[4]??"0000000000","hex");
const c=http2.connect(`http://127.0.0.1:${port}`); 
const call=()=>new Promise((res,rej)=>{ const st=c.request({":method":"POST",":path":path,"content-type":"application/grpc","te":"trailers"}); st.on("response",()=>{}); st.on("data",()=>{}); st.on("end",res); st.on("error",rej); st.end(body); });
let n=0,stop=false; const ws=Array.from({length:64},async()=>{while(!stop){await call();n++;}}); await new Promise(r=>setTimeout(r,2000)); n=0; const t=performance.now(); const cpu=process.cpuUsage(); await new Promise(r=>setTimeout(r,3000)); const el=performance.now()-t; const u=process.cpuUsage(cpu); console.log(Math.round(n/el*1000),"/s client us/call", ((u.user+u.system)/n).toFixed(1), "util",((u.user+u.system)/el/10).toFixed(0)); stop=true; await Promise.all(ws); c.close();
