/**
 * An HTTP server: a to-do list as a JSON API, with nothing but web standards.
 *
 * `--ingress public` lets anyone who reaches the port in; without it a request needs the token.
 *
 *     npx solo deploy examples/http-server.ts --id todo --ingress public --persistence hybrid
 *     curl -s http://127.0.0.1:8080/s/default/todo/items -d '{"text": "water the plants"}'
 *                                              # → {"id":1,"text":"water the plants","done":false}
 *     curl -s -X PATCH http://127.0.0.1:8080/s/default/todo/items/1 -d '{"done": true}'
 *                                              # → {"id":1,"text":"water the plants","done":true}
 *     curl -s http://127.0.0.1:8080/s/default/todo/items/2
 *                                              # → {"error":"There is no item 2."}
 *     curl -s http://127.0.0.1:8080/s/default/todo/items
 *                                              # → [{"id":1,"text":"water the plants","done":true}]
 */
import { defineService } from "solo";

interface Item {
  readonly id: number;
  readonly text: string;
  readonly done: boolean;
}

interface State {
  lastId: number;
  readonly items: Map<number, Item>;
}

const refuse = (status: number, error: string) => Response.json({ error }, { status });

/** The body as an object; undefined when it is anything else. */
async function bodyOf(request: Request): Promise<Record<string, unknown> | undefined> {
  const body: unknown = await request.json().catch(() => undefined);
  return typeof body === "object" && body !== null ? { ...body } : undefined;
}

export default defineService<State>({
  init: () => ({ lastId: 0, items: new Map() }),

  async fetch(request, solo) {
    const { items } = solo.state;
    const [collection, idText] = new URL(request.url).pathname.split("/").slice(1);
    if (collection !== "items") return refuse(404, "Try /items.");

    if (idText === undefined) {
      if (request.method === "GET") return Response.json([...items.values()]);
      if (request.method !== "POST") return refuse(405, "Use GET or POST.");
      const text = (await bodyOf(request))?.["text"];
      if (typeof text !== "string" || text === "") return refuse(400, 'Send {"text": "…"}.');
      const item = { id: (solo.state.lastId += 1), text, done: false };
      items.set(item.id, item);
      return Response.json(item, { status: 201 });
    }

    const item = items.get(Number(idText));
    if (item === undefined) return refuse(404, `There is no item ${idText}.`);
    if (request.method === "GET") return Response.json(item);
    if (request.method === "DELETE") {
      items.delete(item.id);
      return new Response(null, { status: 204 });
    }
    if (request.method !== "PATCH") return refuse(405, "Use GET, PATCH or DELETE.");
    const changed = { ...item, done: (await bodyOf(request))?.["done"] === true };
    items.set(item.id, changed);
    return Response.json(changed);
  },
});
