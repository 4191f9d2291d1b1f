/**
 * Which addresses a request may go to.
 *
 * 1. All addresses of a name are judged; one that may not be reached refuses them all.
 * 2. An address that is not public takes two yeses: the capability names this host, not a
 *    pattern, and the owner's configuration lists it.
 */
import { SoloError } from "#base/errors.ts";
import { parseHostPort, type HostPort } from "#base/net-host.ts";
import { addressKind, isInternal, type AddressKind } from "#egress/addresses.ts";
import { MAX_ADDRESSES } from "#egress/limits.ts";
import type { Target } from "#egress/target.ts";

export class PrivateHosts {
  readonly #listed: readonly HostPort[];

  /** As `security.egress_private_hosts` lists them; an entry that is no host throws. */
  constructor(entries: readonly string[]) {
    this.#listed = entries.map((entry) => {
      const parsed = parseHostPort(entry);
      if (parsed === undefined) throw new TypeError(`${JSON.stringify(entry)} is not a host.`);
      return parsed;
    });
  }

  lists({ host, port }: Target): boolean {
    return this.#listed.some(
      (each) => each.host === host && (each.port === undefined || each.port === port),
    );
  }

  /** Throws unless the request may go to every one of the addresses. `named`: a capability
   *  names exactly this host. */
  admit(target: Target, addresses: readonly string[], { named }: { named: boolean }): void {
    if (addresses.length === 0 || addresses.length > MAX_ADDRESSES) {
      throw new SoloError("egress_failed", `${target.host} has no usable addresses.`);
    }
    for (const address of addresses) {
      const kind = addressKind(address);
      if (kind === "public") continue;
      const listed = this.lists(target);
      const reachable = target.address === undefined ? isInternal(kind) : kind !== "malformed";
      if (!named || !listed || !reachable) throw notPublic(target, kind, { named, listed });
    }
  }
}

function notPublic(
  { host, port, address }: Target,
  kind: AddressKind,
  { named, listed }: { named: boolean; listed: boolean },
): SoloError {
  const what = kind.replaceAll("_", " ");
  const detail =
    address === undefined
      ? `${host} stands for an address that is not public (${what}).`
      : `${host} is not a public address (${what}).`;
  const steps = [
    ...(named ? [] : [`name net:${host}:${port} itself in the service's capabilities`]),
    ...(listed
      ? []
      : [
          `the machine's owner adds "${host}:${port}" to egress_private_hosts in [security] of the configuration file and restarts the kernel`,
        ]),
  ];
  const hint =
    address === undefined && !isInternal(kind)
      ? `A name may not lead there; list and request the address itself.`
      : `If it shall be reached: ${steps.join(", and ")}.`;
  return new SoloError("permission_denied", detail, { hint });
}
