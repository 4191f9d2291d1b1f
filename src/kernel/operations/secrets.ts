/** Secrets, and the vault that keeps them, as the catalogue shows them. */
import { isUtf8 } from "node:buffer";
import type { OutputOf } from "#api/catalogue.ts";
import { SoloError } from "#base/errors.ts";
import type { Asked, Handlers } from "#kernel/operations/handlers.ts";
import type { Secrets } from "#kernel/secrets.ts";
import type { CallerSecret } from "#vault/caller-key.ts";
import type { RotationResult } from "#vault/rotation.ts";
import type { RetrieveRequest, StoreRequest } from "#vault/vault.ts";

const DEFAULT_PAGE = 100;

type SecretHandlers = Pick<
  Handlers,
  | "StoreSecret"
  | "RotateSecret"
  | "RetrieveSecret"
  | "RetrieveSecretWithKey"
  | "ListSecrets"
  | "RevokeSecret"
  | "VaultStatus"
  | "RotateMasterKey"
  | "ResumeRotation"
  | "AcceptVault"
>;

export const secretHandlers = ({ secrets }: { readonly secrets: Secrets }): SecretHandlers => {
  const retrieve = async (request: RetrieveRequest): Promise<OutputOf<"RetrieveSecret">> => {
    const found = await secrets.retrieve(request, { by: "api" });
    using secret = found.secret;
    const bytes = Buffer.from(secret.bytes);
    return {
      tenant_id: request.tenant,
      name: request.name,
      version: found.version,
      ...(isUtf8(bytes) ? { value: bytes.toString() } : { value_base64: bytes.toString("base64") }),
    };
  };
  const rotated = ({ rewrapped, damaged }: RotationResult): OutputOf<"RotateMasterKey"> => ({
    rewrapped,
    damaged: [...damaged],
    key_id: secrets.status().keyId,
  });

  return {
    async StoreSecret(input, { tenant }) {
      const { version } = await secrets.store(storeRequest(input, tenant));
      return { tenant_id: tenant, name: input.name, version };
    },
    async RotateSecret(input, { tenant }) {
      const { version } = await secrets.rotate(storeRequest(input, tenant));
      return { tenant_id: tenant, name: input.name, version };
    },
    RetrieveSecret: ({ name, version }, { tenant }) => retrieve({ tenant, name, version }),
    RetrieveSecretWithKey(input, { tenant }) {
      const key = callerSecret(input);
      if (key === undefined) throw oneOf("key", "key_base64");
      return retrieve({ tenant, name: input.name, version: input.version, key });
    },
    ListSecrets({ limit = DEFAULT_PAGE, after = "" }, { tenant }) {
      const rest = secrets.list(tenant).filter(({ name }) => name > after);
      const page = rest.slice(0, limit);
      return {
        secrets: page.map(({ name, latest, versions }) => ({
          name,
          latest,
          created_at: at(versions.at(-1)!.createdAtMs),
          versions: versions.map(({ version, createdAtMs, hasCallerKey }) => ({
            version,
            created_at: at(createdAtMs),
            has_key: hasCallerKey,
          })),
        })),
        ...(rest.length > page.length && { next: page.at(-1)!.name }),
      };
    },
    async RevokeSecret({ name, version }, { tenant }) {
      const versions = await secrets.revoke({ tenant, name, version });
      return { tenant_id: tenant, name, versions: [...versions] };
    },
    VaultStatus() {
      const { keyFrom, keyId, isRotating, broken, damaged } = secrets.status();
      return {
        ok: broken === undefined && damaged.length === 0,
        key_from: keyFrom,
        key_id: keyId,
        rotating: isRotating,
        ...(broken !== undefined && { broken }),
        damaged: [...damaged],
      };
    },
    RotateMasterKey: async () => rotated(await secrets.rotateMasterKey()),
    ResumeRotation: async () => rotated(await secrets.resumeRotation()),
    async AcceptVault() {
      const { damaged } = secrets.status();
      await secrets.accept();
      return { dropped: [...damaged] };
    },
  };
};

interface Keyed {
  readonly key?: string | undefined;
  readonly key_base64?: string | undefined;
}

interface NewValue extends Keyed {
  readonly name: string;
  readonly value?: string | undefined;
  readonly value_base64?: string | undefined;
}

function storeRequest(input: NewValue, tenant: Asked["tenant"]): StoreRequest {
  const { name, value, value_base64: bytes } = input;
  if ((value === undefined) === (bytes === undefined)) throw oneOf("value", "value_base64");
  return {
    tenant,
    name,
    value: value === undefined ? Buffer.from(bytes!, "base64") : Buffer.from(value),
    key: callerSecret(input),
  };
}

function callerSecret({ key, key_base64: bytes }: Keyed): CallerSecret | undefined {
  if (key !== undefined && bytes !== undefined) throw oneOf("key", "key_base64");
  return bytes === undefined ? key : Buffer.from(bytes, "base64");
}

function oneOf(field: string, other: string): SoloError {
  const message = `give \`${field}\` or \`${other}\`, one of them`;
  return new SoloError("invalid_argument", `${field}: ${message}.`, {
    fields: [{ field, message }],
  });
}

const at = (ms: number): string => new Date(ms).toISOString();
