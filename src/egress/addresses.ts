/**
 * What an IP address is for: only addresses of the public internet may be reached unasked.
 *
 * 1. An address is "public" only if no row below holds it; for IPv6 it must also lie in the
 *    only block from which public addresses are given out.
 * 2. Addresses that carry an IPv4 address inside (mapped, translated, tunnelled) are never
 *    public, whatever they carry.
 *
 * Sources: IANA IPv4 and IPv6 Special-Purpose Address Registries
 * (iana.org/assignments/iana-ipv4-special-registry, iana-ipv6-special-registry), IANA IPv6
 * Address Space, and the RFCs beside the rows.
 */
import { BlockList, isIP } from "node:net";

export type AddressKind =
  | "public"
  | "unspecified"
  | "loopback"
  | "private"
  | "shared"
  | "link_local"
  | "multicast"
  | "documentation"
  | "reserved"
  | "embedded_ipv4"
  | "malformed";

type Row = readonly [kind: AddressKind, network: string, prefix: number];

const IPV4: readonly Row[] = [
  ["unspecified", "0.0.0.0", 8], // RFC 791, RFC 1122: this host, this network
  ["private", "10.0.0.0", 8], // RFC 1918
  ["shared", "100.64.0.0", 10], // RFC 6598: carrier-grade NAT
  ["loopback", "127.0.0.0", 8], // RFC 1122
  ["link_local", "169.254.0.0", 16], // RFC 3927: also where clouds answer with credentials
  ["private", "172.16.0.0", 12], // RFC 1918
  ["reserved", "192.0.0.0", 24], // RFC 6890: IETF protocol assignments
  ["documentation", "192.0.2.0", 24], // RFC 5737
  ["reserved", "192.31.196.0", 24], // RFC 7535: AS112
  ["reserved", "192.52.193.0", 24], // RFC 7450: AMT
  ["embedded_ipv4", "192.88.99.0", 24], // RFC 7526: 6to4 relays
  ["private", "192.168.0.0", 16], // RFC 1918
  ["reserved", "192.175.48.0", 24], // RFC 7534: AS112
  ["reserved", "198.18.0.0", 15], // RFC 2544: benchmarks
  ["documentation", "198.51.100.0", 24], // RFC 5737
  ["documentation", "203.0.113.0", 24], // RFC 5737
  ["multicast", "224.0.0.0", 4], // RFC 1112
  ["reserved", "240.0.0.0", 4], // RFC 1112, and broadcast, RFC 919
];

const IPV6: readonly Row[] = [
  ["unspecified", "::", 128], // RFC 4291
  ["loopback", "::1", 128], // RFC 4291
  ["embedded_ipv4", "::ffff:0:0", 96], // RFC 4291: IPv4-mapped
  ["embedded_ipv4", "::", 96], // RFC 4291: IPv4-compatible
  ["embedded_ipv4", "::ffff:0:0:0", 96], // RFC 2765: IPv4-translated
  ["embedded_ipv4", "64:ff9b::", 96], // RFC 6052: NAT64
  ["embedded_ipv4", "64:ff9b:1::", 48], // RFC 8215: NAT64, local use
  ["embedded_ipv4", "2001::", 32], // RFC 4380: Teredo
  ["reserved", "2001::", 23], // RFC 2928: IETF protocol assignments
  ["documentation", "2001:db8::", 32], // RFC 3849
  ["embedded_ipv4", "2002::", 16], // RFC 3056: 6to4
  ["reserved", "2620:4f:8000::", 48], // RFC 7534: AS112
  ["documentation", "3fff::", 20], // RFC 9637
  ["private", "fc00::", 7], // RFC 4193: unique local
  ["link_local", "fe80::", 10], // RFC 4291
  ["private", "fec0::", 10], // RFC 3879: site-local
  ["multicast", "ff00::", 8], // RFC 4291
];

/** RFC 4291: all that has been given out as global unicast lies here. */
const GLOBAL_UNICAST: readonly Row[] = [["public", "2000::", 3]];

const listOf = (rows: readonly Row[], family: "ipv4" | "ipv6") =>
  rows.map(([kind, network, prefix]) => {
    const list = new BlockList();
    list.addSubnet(network, prefix, family);
    return { kind, list };
  });

const LISTS4 = listOf(IPV4, "ipv4");
const LISTS6 = listOf(IPV6, "ipv6");
const [GLOBAL] = listOf(GLOBAL_UNICAST, "ipv6");

/** `address` as resolvers and URLs write it, without brackets. */
export function addressKind(address: string): AddressKind {
  const family = isIP(address);
  // A zone (`fe80::1%eth0`) names an interface of this machine.
  if (family === 0 || address.includes("%")) return "malformed";
  if (family === 4) return LISTS4.find(({ list }) => list.check(address))?.kind ?? "public";
  const kind = LISTS6.find(({ list }) => list.check(address, "ipv6"))?.kind;
  return kind ?? (GLOBAL!.list.check(address, "ipv6") ? "public" : "reserved");
}

/** What a *name* that the owner has listed may stand for; other kinds must be listed as the
 *  address itself, so that a name service cannot lead there. */
export const isInternal = (kind: AddressKind): boolean =>
  kind === "loopback" || kind === "private" || kind === "shared";
