/**
 * tr46 in front of itself: an ASCII host without punycode needs none of its tables
 * (UTS 46 then only lower-cases), and nearly every host is one.
 */
import { platform } from "../guest/platform.ts";

interface Options {
  readonly useSTD3ASCIIRules: boolean;
  readonly checkHyphens: boolean;
}

const NEEDS_TABLES = /[^\0-\x7f]|(?:^|\.)xn--/i;

export function toASCII(domain: string, options: Options): string | null {
  const strict = options.useSTD3ASCIIRules || options.checkHyphens;
  if (!strict && !NEEDS_TABLES.test(domain)) return domain.toLowerCase();
  return platform["tr46"].toASCII(domain, options);
}
