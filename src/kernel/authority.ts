/**
 * Who asks, and whether they may. The only place where authority is made or checked.
 *
 * 1. Tokens are compared by their SHA-256, in constant time; none is stored or logged.
 * 2. The owner may act for any tenant; everybody else for their own.
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { Credentials } from "#api/kernel-port.ts";
import type { Permission } from "#api/operation.ts";
import { SoloError } from "#base/errors.ts";
import { tenantId, type TenantId } from "#base/ids.ts";

export type Principal =
  | { readonly kind: "owner" }
  /** Nobody: allowed to ask for /health and for public services, nothing else. */
  | { readonly kind: "stranger" };

const TOKEN_PREFIX = "solo_";
const DEFAULT_TENANT = tenantId("default");

export const newToken = (): string => TOKEN_PREFIX + randomBytes(32).toString("base64url");

const digest = (token: string): Buffer => createHash("sha256").update(token).digest();

export class Authority {
  readonly #owner: Buffer;

  constructor(ownerToken: string) {
    this.#owner = digest(ownerToken);
  }

  identify({ token }: Credentials): Principal {
    if (token === undefined) return { kind: "stranger" };
    if (token.length > 1024 || !timingSafeEqual(digest(token), this.#owner)) {
      throw new SoloError("unauthenticated", "The token is not known here.", {
        hint: "Send the token that `solo token` prints as `Authorization: Bearer <token>`.",
      });
    }
    return OWNER;
  }

  /** Refuses unless the principal holds the permission on the resource. */
  authorize(principal: Principal, permission: Permission, resource: string): void {
    if (principal.kind === "owner" || resource === "health") return;
    throw new SoloError("unauthenticated", `${permission} on ${resource} needs a token.`, {
      hint: "Send `Authorization: Bearer <token>`; the machine's owner gets it with `solo token`.",
    });
  }

  /** Whom the request acts for: the tenant named in it, in its header, or the default. */
  tenantOf({ tenant }: Credentials, named: string | undefined): TenantId {
    if (named !== undefined && tenant !== undefined && named !== tenant) {
      const message = `differs from x-solo-tenant (${tenant.slice(0, 64)})`;
      throw new SoloError("invalid_argument", `tenant_id ${message}.`, {
        fields: [{ field: "tenant_id", message }],
        hint: "Name the tenant once.",
      });
    }
    const name = named ?? tenant;
    return name === undefined ? DEFAULT_TENANT : tenantId(name);
  }
}

const OWNER: Principal = Object.freeze({ kind: "owner" });
