/**
 * A state that can be carried elsewhere: one JSON document that vouches for itself.
 *
 * 1. What was altered, torn or is of another form is refused by name, before anything is
 *    touched.
 */
import { createHash } from "node:crypto";
import { SoloError } from "#base/errors.ts";
import type { Snapshot } from "#deploy/snapshots.ts";
import { viewState } from "#deploy/state-view.ts";

const STATE_FORMAT = "solo-state";
const FORM = 1;

export interface StateDocument {
  readonly format: string;
  readonly form: number;
  readonly source_hash: string;
  readonly version?: string | undefined;
  /** As the service's snapshot has it; only a service decodes it. */
  readonly state: string;
  /** SHA-256 over the fields above, hex. */
  readonly sha256: string;
}

const digest = ({ source_hash, version, state }: Omit<StateDocument, "sha256">): string =>
  createHash("sha256")
    .update(JSON.stringify([FORM, source_hash, version ?? null, state]))
    .digest("hex");

export function toDocument({ sourceHash, version, state }: Snapshot): StateDocument {
  const body = {
    format: STATE_FORMAT,
    form: FORM,
    source_hash: sourceHash,
    ...(version !== undefined && { version }),
    state,
  };
  return { ...body, sha256: digest(body) };
}

/** The snapshot in the document; throws `invalid_argument` or `payload_too_large`. */
export function fromDocument(document: StateDocument, maxBytes: number): Snapshot {
  const { format, form, state, source_hash, version, sha256 } = document;
  if (format !== STATE_FORMAT) throw refused("format", `must be ${STATE_FORMAT}`);
  if (form !== FORM) throw refused("form", `is ${form}; this version of Solo reads ${FORM}`);
  const bytes = Buffer.byteLength(state);
  if (bytes > maxBytes) {
    throw new SoloError(
      "payload_too_large",
      `The state has ${bytes} bytes; limits.state_bytes allows ${maxBytes}.`,
      { hint: "Raise limits.state_bytes of the service first." },
    );
  }
  if (digest(document) !== sha256) {
    throw refused("sha256", "does not belong to this document: it was altered or cut off");
  }
  try {
    viewState(state);
  } catch {
    throw refused("state", "is no encoded state");
  }
  return { sourceHash: source_hash, version, state };
}

function refused(name: string, why: string): SoloError {
  const field = `document.${name}`;
  return new SoloError("invalid_argument", `${field} ${why}.`, {
    fields: [{ field, message: why }],
    hint: "Take a document as `solo state export` printed it.",
  });
}
