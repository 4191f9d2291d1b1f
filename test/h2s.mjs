import http2 from "node:http2";
const s=http2.createServer(); s.on("stream",(st,h)=>{ const c=[]; st.on("data",d=>c.push(d)); st.on("end",()=>{ st.respond({":status":200,"content-type":"application/grpc+proto"},{waitForTrailers:true}); st.on("wantTrailers",()=>st.sendTrailers({"grpc-status":"0"})); st.end(Buffer.concat(c)); }); });
s.listen(50998,"127.0.0.1",()=>console.log("up")); process.on("SIGTERM",()=>{console.log("server", process.cpuUsage()); process.exit();});
