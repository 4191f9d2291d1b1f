/** The command line itself was wrong: exit code 2, whatever the kernel would have said. */
import { EXIT, ERRORS, SoloError } from "#base/errors.ts";

export class UsageError extends SoloError {
  constructor(detail: string, hint?: string) {
    super("invalid_argument", detail, hint === undefined ? {} : { hint });
  }
}

export const exitCodeOf = (error: SoloError): number =>
  error instanceof UsageError ? EXIT.USAGE : ERRORS[error.code].exit;
