/** The one thing WinterTC asks of `navigator`: a name for the runtime. */
export class Navigator {
  get userAgent(): string {
    return "Solo";
  }

  get [Symbol.toStringTag](): string {
    return "Navigator";
  }
}

export const navigator = new Navigator();
