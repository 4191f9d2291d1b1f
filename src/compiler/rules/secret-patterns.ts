/** What secrets look like: those with a form of their own, and random text under a telling name. */

interface Form {
  readonly what: string;
  readonly pattern: RegExp;
}

/** Each begins with text that only its issuer uses. None looks at a character more than a few
 *  dozen times, wherever in a long text its beginnings stand. */
const FORMS: readonly Form[] = [
  { what: "an AWS access key", pattern: /\b(?:AKIA|ASIA)[A-Z2-7]{16}\b/ },
  { what: "a GitHub token", pattern: /\bgh[pousr]_[A-Za-z0-9]{36,}\b/ },
  { what: "a GitHub token", pattern: /\bgithub_pat_[A-Za-z0-9_]{60,}\b/ },
  { what: "a GitLab token", pattern: /\bglpat-[A-Za-z0-9_-]{20,}/ },
  { what: "a Slack token", pattern: /\bxox[abeprs]-[A-Za-z0-9-]{20,}/ },
  {
    what: "a Slack webhook",
    pattern: /hooks\.slack\.com\/services\/T[A-Z0-9]{6,}\/B[A-Z0-9]{6,}\/[A-Za-z0-9]{20,}/,
  },
  { what: "a Stripe key", pattern: /\b[rs]k_(?:live|test)_[A-Za-z0-9]{20,}/ },
  { what: "an Anthropic key", pattern: /\bsk-ant-[A-Za-z0-9_-]{24,}/ },
  { what: "an OpenAI key", pattern: /\bsk-(?:proj-|svcacct-)?[A-Za-z0-9_-]{32,}/ },
  { what: "a Google API key", pattern: /\bAIza[A-Za-z0-9_-]{35}/ },
  { what: "a SendGrid key", pattern: /\bSG\.[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}/ },
  { what: "an npm token", pattern: /\bnpm_[A-Za-z0-9]{36}\b/ },
  { what: "a Solo token", pattern: /\bsolo_[A-Za-z0-9_-]{43}/ },
  {
    what: "a private key",
    pattern: /-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----\s*[A-Za-z0-9+/=\\]{20}/,
  },
  {
    what: "a JSON Web Token",
    pattern: /(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}/,
  },
  {
    what: "a password in an address",
    pattern: /(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{0,31}:\/\/[^\s:/@]{1,64}:[^\s:/@]{6,128}@[\w.-]+/,
  },
];
/** One of these must be in a text for any form to be. */
const HINTS =
  /AKIA|ASIA|gh[pousr]_|github_pat_|glpat-|xox|hooks\.slack|[rs]k_|sk-|AIza|SG\.|npm_|solo_|PRIVATE KEY|eyJ|:\/\//;

const TELLING =
  /(?:secret|passw(?:or)?d|passphrase|token|api_?key|access_?key|private_?key|signing_?key|encryption_?key|credential|auth_?key)s?$/i;
const PLACEHOLDER =
  /example|sample|placeholder|change_?me|your|dummy|fake|test|todo|replace|insert|redacted|xxx|\*\*\*|\.\.\.|<|\$\{|0000|1234|abcd/i;
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
/** Where one word of an identifier ends and the next begins. */
const BETWEEN_WORDS = /[-_./: ]|(?<=[a-z0-9])(?=[A-Z])/;
const WORD = /^(?:[A-Za-z]?[a-z]{2,}\d{0,4}|[A-Z]{2,}\d{0,4}|\d{1,4})$/;
const MIN_CHARS = 16;
const MAX_CHARS = 512;
/** Random hexadecimal has at most 4 bits a character, random base64 about 5.2 at 40. */
const MIN_BITS = 3.2;

/** What the text is, when it has the form of a well-known secret. */
export function knownSecret(
  text: string,
): { what: string; at: number; length: number } | undefined {
  if (!HINTS.test(text)) return undefined;
  for (const { what, pattern } of FORMS) {
    const match = pattern.exec(text);
    if (match === null || isPlaceholder(what, match[0])) continue;
    return { what, at: match.index, length: match[0].length };
  }
  return undefined;
}

function isPlaceholder(what: string, text: string): boolean {
  if (/EXAMPLE|your|xxxx|<|\$\{|\*\*\*/i.test(text)) return true;
  if (what === "a password in an address")
    return PLACEHOLDER.test(text) || /:(?:pass(word)?|secret)@/i.test(text);
  // A prefix and a run of one letter, or a sentence that only begins so.
  return bitsPerChar(text.slice(-20)) < 2.5;
}

/** Whether a value under this name is random enough to be a secret itself. */
export function looksRandom(name: string, text: string): boolean {
  if (!TELLING.test(name)) return false;
  if (text.length < MIN_CHARS || text.length > MAX_CHARS) return false;
  if (/\s|[(){}[\]|,;]/.test(text) || PLACEHOLDER.test(text) || UUID.test(text)) return false;
  if (/^(?:https?|data|file|urn|npm|arn):/.test(text) || isWords(text)) return false;
  return /\d/.test(text) && /[A-Za-z]/.test(text) && bitsPerChar(text) >= MIN_BITS;
}

const isWords = (text: string): boolean =>
  text.split(BETWEEN_WORDS).every((word) => WORD.test(word));

/** Shannon's entropy of the text's own characters. */
function bitsPerChar(text: string): number {
  const counts = new Map<string, number>();
  for (const char of text) counts.set(char, (counts.get(char) ?? 0) + 1);
  let bits = 0;
  for (const count of counts.values()) {
    const share = count / text.length;
    bits -= share * Math.log2(share);
  }
  return bits;
}
