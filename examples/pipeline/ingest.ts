/**
 * A data pipeline of three services: ingest → clean → totals.
 *
 * Measurements arrive over HTTP as lines `sensor,celsius`. `ingest` reads them as they come,
 * `clean` drops what is no measurement, `totals` keeps what must survive. Each stage waits for
 * the next one, so a slow stage slows the upload down and nothing piles up.
 *
 *     npx solo deploy examples/pipeline/totals.ts --persistence durable
 *     npx solo deploy examples/pipeline/clean.ts
 *     npx solo deploy examples/pipeline/ingest.ts --ingress public
 *     printf 'roof,20\nroof,30\ncellar,oops\ncellar,12\n' | curl -s -T - http://127.0.0.1:8080/s/default/ingest
 *                                              # → {"lines":4,"kept":3}
 *     npx solo call totals summary roof        # → {"count":2,"least":20,"most":30,"mean":25}
 */
import { defineService } from "solo";

const BATCH_LINES = 500;

/** The lines of a stream of bytes, also when a chunk ends in the middle of one. */
async function* linesOf(body: AsyncIterable<Uint8Array> | null): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of body ?? []) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
  if (rest !== "") yield rest;
}

export default defineService({
  async fetch(request, solo) {
    let lines = 0;
    let kept = 0;
    let batch: string[] = [];
    const send = async () => {
      kept += await solo.services.call<number>("clean", "lines", batch);
      batch = [];
    };
    for await (const line of linesOf(request.body)) {
      lines += 1;
      if (batch.push(line) === BATCH_LINES) await send();
    }
    if (batch.length > 0) await send();
    return Response.json({ lines, kept });
  },
});
