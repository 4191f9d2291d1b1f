/** What is left to say to a client whose request Node could not even read. */
import type { Socket } from "node:net";
import { SoloError } from "#base/errors.ts";
import { toProblem } from "#api/problem.ts";
import { problemHeaders } from "#gateway/rest/problem.ts";

const LATE = "HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

export function refuseBrokenRequest(error: Error & { code?: string }, socket: Socket): void {
  // What is not the parser's is the connection's, or TLS's: nobody is there to be told.
  if (!socket.writable || !/^(HPE|ERR_HTTP)_/.test(error.code ?? "")) {
    socket.destroy();
    return;
  }
  socket.end(answerTo(error.code), () => socket.destroy());
}

function answerTo(code: string | undefined): string {
  if (code === "ERR_HTTP_REQUEST_TIMEOUT") return LATE;
  return code === "HPE_HEADER_OVERFLOW"
    ? raw(new SoloError("payload_too_large", "The URL and headers are too large together."))
    : raw(
        new SoloError("invalid_argument", "This is not a well-formed HTTP/1.1 request.", {
          hint: "Send one content-length or chunks, CRLF after each line, and no folded headers.",
        }),
      );
}

function raw(error: SoloError): string {
  const problem = toProblem(error);
  const body = JSON.stringify(problem);
  const headers = Object.entries({
    ...problemHeaders(error),
    connection: "close",
    "content-length": String(Buffer.byteLength(body)),
  });
  const head = headers.map(([name, value]) => `${name}: ${value}`).join("\r\n");
  return `HTTP/1.1 ${problem.status} ${problem.title}\r\n${head}\r\n\r\n${body}`;
}
