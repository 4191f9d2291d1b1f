/** The answer to `GET /metrics`: Prometheus text, or a JSON summary for those who ask for JSON. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { KernelPort } from "#api/kernel-port.ts";
import { clientSignal, JSON_TYPE, writeAnswer } from "#gateway/rest/client.ts";
import { credentialsOf } from "#gateway/rest/credentials.ts";
import { summaryOf } from "#gateway/metrics/summary.ts";

export const METRICS_PATH = "/metrics";
const PROMETHEUS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

export async function serveMetrics(options: {
  readonly kernel: KernelPort;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly stallMs: number;
}): Promise<void> {
  const { kernel, request, response, stallMs } = options;
  const signal = clientSignal(response);
  const text = await kernel.metrics({ credentials: credentialsOf(request), signal });
  const json = wantsJson(request.headers.accept);
  writeAnswer(response, {
    status: 200,
    contentType: json ? JSON_TYPE : PROMETHEUS_TYPE,
    text: json ? JSON.stringify(summaryOf(text)) : text,
    stallMs,
  });
}

const wantsJson = (accept = ""): boolean =>
  accept.includes("application/json") && !/text\/plain|openmetrics/.test(accept);
