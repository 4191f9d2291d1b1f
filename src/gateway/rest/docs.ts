/**
 * The documents a person or an agent reads without a token: openapi.json, a page to try
 * it in, and the table of errors. Everything comes from this package; nothing is loaded
 * from elsewhere.
 *
 * 1. They are made when somebody first asks for them: a start does not wait for them.
 */
import type { FastifyInstance } from "fastify";
import { openApi } from "#api/openapi.ts";
import { ERRORS } from "#base/errors.ts";
import type { KnownRoute } from "#gateway/rest/lost.ts";
import { ERRORS_PAGE } from "#api/problem.ts";

const OPENAPI_PATH = "/openapi.json";
const DOCS_PATH = "/docs";

export const DOC_ROUTES: readonly KnownRoute[] = [
  { method: "GET", path: OPENAPI_PATH },
  { method: "GET", path: DOCS_PATH },
  { method: "GET", path: ERRORS_PAGE },
];

const CONTENT_SECURITY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const PAGE_HEADERS = {
  "content-security-policy": CONTENT_SECURITY,
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
} as const;

export interface DocsOptions {
  readonly version: string;
  /** A router that refuses as every other does. */
  readonly newRouter: () => FastifyInstance;
}

export function addDocs(app: FastifyInstance, options: DocsOptions): void {
  let made: Promise<Documents> | undefined;
  const documents = () => (made ??= makeDocuments(options));
  app.addHook("onClose", async () => {
    if (made !== undefined) await (await made).page.close();
  });
  void app.register(async (pages) => {
    pages.addHook("onSend", async (_request, reply) => {
      reply.headers(PAGE_HEADERS);
    });
    pages.get(OPENAPI_PATH, async (_request, reply) =>
      reply.type("application/json; charset=utf-8").send((await documents()).text),
    );
    pages.get(ERRORS_PAGE, (_request, reply) =>
      reply.type("text/html; charset=utf-8").send(errorsPage()),
    );
    for (const path of [DOCS_PATH, `${DOCS_PATH}/*`])
      pages.get(path, async (request, reply) => {
        const { page } = await documents();
        reply.hijack();
        page.routing(request.raw, reply.raw);
      });
  });
}

interface Documents {
  readonly text: string;
  /** Serves what is under DOCS_PATH. */
  readonly page: FastifyInstance;
}

async function makeDocuments({ version, newRouter }: DocsOptions): Promise<Documents> {
  const document = openApi({ version });
  const text = JSON.stringify(document);
  const page = newRouter();
  page.addHook("onSend", async (_request, reply) => {
    reply.headers(PAGE_HEADERS);
  });
  await page.register(documentSource(document, text));
  const { default: swaggerUi } = await import("@fastify/swagger-ui");
  await page.register(swaggerUi, {
    routePrefix: DOCS_PATH,
    staticCSP: CONTENT_SECURITY,
    theme: { title: "Solo" },
    uiConfig: { docExpansion: "list", tryItOutEnabled: true, displayRequestDuration: true },
  });
  await page.ready();
  return { text, page };
}

/** The page asks a plugin named @fastify/swagger for its document; ours is already made. JSON is YAML. */
const documentSource = (document: object, text: string) =>
  Object.assign(
    async (app: FastifyInstance) => {
      app.decorate("swagger", ((as?: { yaml?: boolean }) => (as?.yaml ? text : document)) as never);
    },
    {
      [Symbol.for("skip-override")]: true,
      [Symbol.for("plugin-meta")]: { name: "@fastify/swagger" },
      [Symbol.for("fastify.display-name")]: "@fastify/swagger",
    },
  );

function errorsPage(): string {
  const rows = Object.entries(ERRORS).map(
    ([code, { title, http, grpc, exit }]) =>
      `<tr id="${code}"><td><code>${code}</code></td><td>${title}</td><td>${http}</td><td>${grpc}</td><td>${exit}</td></tr>`,
  );
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Solo: errors</title>
<style>body{font:16px/1.5 system-ui;margin:2rem auto;max-width:60rem}td,th{padding:.2rem .8rem;text-align:left}tr:target{background:#ff8}</style>
<h1>Errors</h1><p>Every refusal carries one of these codes; <code>detail</code> says what happened, <code>hint</code> what to do next.</p>
<table><tr><th>code</th><th>meaning</th><th>HTTP</th><th>gRPC</th><th>exit</th></tr>
${rows.join("\n")}
</table></html>`;
}
