/**
 * Secrets that were filled in for a service which may not read them, kept out of what comes
 * back: a host that shows the request in its answer must not hand them over.
 *
 * 1. Every part of an answer passes here before the service sees it: status text, headers,
 *    address and body, each as latin1 text.
 */
import type { Header } from "#egress/headers.ts";

/** Puts marks in place of values; the vault's redactor is one. */
export interface Echo {
  redact(text: string): string;
  /** For text in pieces. */
  stream(): { push(piece: string): string; end(): string };
}

export const redactText = (text: string, echoes: readonly Echo[]): string =>
  echoes.reduce((shown, echo) => echo.redact(shown), text);

export const redactHeaders = (
  headers: readonly Header[],
  echoes: readonly Echo[],
): readonly Header[] =>
  echoes.length === 0
    ? headers
    : headers.map(([name, value]) => [redactText(name, echoes), redactText(value, echoes)]);

export const redactBody = (
  source: AsyncIterable<Uint8Array>,
  echoes: readonly Echo[],
): AsyncIterable<Uint8Array> => echoes.reduce(through, source);

async function* through(source: AsyncIterable<Uint8Array>, echo: Echo): AsyncGenerator<Uint8Array> {
  const stream = echo.stream();
  for await (const bytes of source) {
    const text = stream.push(Buffer.from(bytes).toString("latin1"));
    if (text !== "") yield Buffer.from(text, "latin1");
  }
  const rest = stream.end();
  if (rest !== "") yield Buffer.from(rest, "latin1");
}
