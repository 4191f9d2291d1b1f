/**
 * Keeps secret values out of text that leaves: log lines, events, crash reports.
 *
 * 1. No form of a known value (secret-forms.ts) is left in the text, overlapping ones included,
 *    also when the text comes in pieces.
 * 2. Nor is one with white space in it that is not its own; text in pieces is not searched for that.
 * 3. Text without a value is passed on as the same string.
 *
 * It is a net, not a wall: a service that means to leak what it can read finds other forms.
 */
import { type Form, Forms, merged, type Span, SpreadForms, squeeze } from "#vault/form-search.ts";
import { MAX_REDACTED_VALUES, MIN_REDACTED_SPREAD_CHARS } from "#vault/limits.ts";
import { formsOf } from "#vault/secret-forms.ts";

const markOf = (name: string): string => `[secret:${name}]`;

export interface Redactor {
  redact(text: string): string;
  /** For text in pieces: holds back what may be the beginning of a value. */
  stream(): { push(piece: string): string; end(): string };
}

/** A value and the name that stands in its place. */
export interface Redacted {
  readonly name: string;
  readonly value: Uint8Array;
}

export function redactor(values: Iterable<Redacted>): Redactor {
  const all: readonly Form[] = [...values]
    .slice(0, MAX_REDACTED_VALUES)
    .flatMap(({ name, value }) => formsOf(value).map((text) => ({ text, name })));
  const { short, spread } = bySpread(all);
  const redact = (text: string): string =>
    cover(text, merged(spread.spansIn(text), short.spansIn(text)));
  return {
    redact,
    stream() {
      const forms = new Forms(all);
      let held = "";
      return {
        push(piece) {
          const text = held + piece;
          const spans = forms.spansIn(text);
          const safe = forms.safeLength(text, spans);
          held = text.slice(safe);
          return cover(
            text.slice(0, safe),
            spans.filter(([start]) => start < safe),
          );
        },
        end() {
          const rest = redact(held);
          held = "";
          return rest;
        },
      };
    },
  };
}

/** Forms too short to be told from words once white space is ignored are looked for as they are. */
function bySpread(forms: readonly Form[]): { short: Forms; spread: SpreadForms } {
  const squeezed = forms.map(({ text, name }) => ({ text: squeeze(text), name }));
  const isLong = ({ text }: Form): boolean => text.length >= MIN_REDACTED_SPREAD_CHARS;
  return {
    short: new Forms(forms.filter((_, at) => !isLong(squeezed[at]!))),
    spread: new SpreadForms(squeezed.filter(isLong)),
  };
}

function cover(text: string, spans: readonly Span[]): string {
  if (spans.length === 0) return text;
  let out = "";
  let from = 0;
  for (const [start, end, name] of spans) {
    out += text.slice(from, start) + markOf(name);
    from = end;
  }
  return out + text.slice(from);
}
