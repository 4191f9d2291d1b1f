/**
 * The documents a person or an agent reads without a token: openapi.json, a page to try
 * it in, and the table of errors. Everything comes from this package; nothing is loaded
 * from elsewhere.
 */
import swaggerUi from "@fastify/swagger-ui";
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

export async function addDocs(
  app: FastifyInstance,
  options: { readonly version: string },
): Promise<void> {
  const document = openApi(options);
  const text = JSON.stringify(document);
  await app.register(async (pages) => {
    pages.addHook("onSend", async (_request, reply) => {
      reply.headers(PAGE_HEADERS);
    });
    pages.get(OPENAPI_PATH, (_request, reply) =>
      reply.type("application/json; charset=utf-8").send(text),
    );
    pages.get(ERRORS_PAGE, (_request, reply) =>
      reply.type("text/html; charset=utf-8").send(errorsPage()),
    );
    await pages.register(documentSource(document));
    await pages.register(swaggerUi, {
      routePrefix: DOCS_PATH,
      staticCSP: CONTENT_SECURITY,
      theme: { title: "Solo" },
      uiConfig: { docExpansion: "list", tryItOutEnabled: true, displayRequestDuration: true },
    });
  });
}

/** The page asks a plugin named @fastify/swagger for its document; ours is already made. */
const documentSource = (document: object) =>
  Object.assign(
    async (app: FastifyInstance) => {
      app.decorate("swagger", (() => document) as never);
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
