/** Which addresses are of the public internet, and where a URL's spelling leads. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { SoloError } from "#base/errors.ts";
import { addressKind } from "#egress/addresses.ts";
import { PrivateHosts } from "#egress/private-hosts.ts";
import { targetOf } from "#egress/target.ts";

/** The registries once more, as plain arithmetic: [first address, prefix length]. */
const NOT_PUBLIC_4: readonly [string, number][] = [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.31.196.0", 24],
  ["192.52.193.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["192.175.48.0", 24],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 4],
  ["240.0.0.0", 4],
];
const number4 = (text: string) =>
  text.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
const text4 = (n: number) =>
  [24, 16, 8, 0].map((shift) => Math.floor(n / 2 ** shift) % 256).join(".");
const isPublic4 = (n: number) =>
  NOT_PUBLIC_4.every(
    ([network, prefix]) =>
      Math.floor(n / 2 ** (32 - prefix)) !== Math.floor(number4(network) / 2 ** (32 - prefix)),
  );

/** Addresses around the edges of every block, where mistakes live. */
const edges4 = NOT_PUBLIC_4.flatMap(([network, prefix]) => {
  const first = number4(network);
  const last = first + 2 ** (32 - prefix) - 1;
  return [first - 1, first, first + 1, last - 1, last, last + 1];
}).filter((n) => n >= 0 && n < 2 ** 32);

const hex = (n: number) => n.toString(16);
const groups6 = (bits: bigint) =>
  Array.from({ length: 8 }, (_, at) => hex(Number((bits >> BigInt(112 - 16 * at)) & 0xffffn))).join(
    ":",
  );

/** The spellings in which the URL standard knows an IPv4 address. */
const spellings4 = (n: number): string[] => {
  const [a, b, c, d] = text4(n).split(".").map(Number) as [number, number, number, number];
  return [
    String(n),
    `0x${hex(n)}`,
    `0${n.toString(8)}`,
    `${a}.${b}.${c}.${d}`,
    `${a}.${b}.${c}.${d}.`,
    `${a}.${b}.${c * 256 + d}`,
    `${a}.${b * 65_536 + c * 256 + d}`,
    `0${a.toString(8)}.0${b.toString(8)}.0${c.toString(8)}.0${d.toString(8)}`,
    `0x${hex(a)}.0X${hex(b)}.0x${hex(c)}.${d}`,
    `%3${String(a)[0]}${`${a}.${b}.${c}.${d}`.slice(1)}`,
    `${a}。${b}．${c}｡${d}`,
  ];
};

const nothing = new PrivateHosts([]);
const admits = (url: string, addresses?: readonly string[], hosts = nothing, named = true) => {
  const target = targetOf(url);
  hosts.admit(target, addresses ?? [target.address!], { named });
};
const codeOf = (act: () => unknown): string => {
  try {
    act();
  } catch (error) {
    if (error instanceof SoloError) return error.code;
    throw error;
  }
  return "ok";
};

const codeAndHint = (act: () => unknown): unknown[] => {
  try {
    act();
  } catch (error) {
    if (error instanceof SoloError) return [error.code, error.options.hint];
    throw error;
  }
  return [];
};

describe("an IPv4 address", () => {
  test("is public exactly if no special-purpose registry entry holds it", () => {
    for (const n of edges4)
      expect([text4(n), addressKind(text4(n)) === "public"]).toEqual([text4(n), isPublic4(n)]);
    fc.assert(
      fc.property(fc.nat({ max: 2 ** 32 - 1 }), (n) => {
        expect(addressKind(text4(n)) === "public").toBe(isPublic4(n));
      }),
    );
  });

  test("is judged alike in every spelling that a URL knows", () => {
    const some = fc.oneof(fc.nat({ max: 2 ** 32 - 1 }), fc.constantFrom(...edges4));
    fc.assert(
      fc.property(some, (n) => {
        for (const spelling of spellings4(n)) {
          expect(targetOf(`http://${spelling}/`).address).toBe(text4(n));
          expect([spelling, codeOf(() => admits(`https://${spelling}/`))]).toEqual([
            spelling,
            isPublic4(n) ? "ok" : "permission_denied",
          ]);
        }
      }),
    );
  });

  test("inside an IPv6 address is never public, whatever carries it", () => {
    fc.assert(
      fc.property(
        fc.nat({ max: 2 ** 32 - 1 }),
        fc.bigInt({ min: 0n, max: 2n ** 80n - 1n }),
        (n, rest) => {
          const low = `${hex(Math.floor(n / 65_536))}:${hex(n % 65_536)}`;
          const carriers = [
            `::ffff:${low}`,
            `::ffff:${text4(n)}`,
            `::${low}`,
            `::ffff:0:${low}`,
            `64:ff9b::${low}`,
            `64:ff9b:1::${low}`,
            `2002:${low}::1`,
            groups6((0x2002n << 112n) | (BigInt(n) << 80n) | rest),
            groups6((0x20010000n << 96n) | rest),
          ];
          for (const address of carriers) {
            expect([address, addressKind(address)]).not.toEqual([address, "public"]);
            expect(codeOf(() => admits(`http://[${address}]/`))).toBe("permission_denied");
          }
        },
      ),
    );
  });
});

describe("an IPv6 address", () => {
  test.each([
    ["::", "unspecified"],
    ["::1", "loopback"],
    ["0:0:0:0:0:0:0:1", "loopback"],
    ["::2", "embedded_ipv4"],
    ["fe80::1", "link_local"],
    ["febf:ffff::", "link_local"],
    ["fe80::1%eth0", "malformed"],
    ["fec0::1", "private"],
    ["fc00::1", "private"],
    ["fd12:3456::1", "private"],
    ["ff02::1", "multicast"],
    ["2001:db8::1", "documentation"],
    ["3fff:fff::1", "documentation"],
    ["2001::1", "embedded_ipv4"],
    ["2001:10::1", "reserved"],
    ["100::1", "reserved"],
    ["5f00::1", "reserved"],
    ["4000::1", "reserved"],
    ["fd00:ec2::254", "private"],
    ["2001:4860:4860::8888", "public"],
    ["2606:4700::1111", "public"],
    ["not an address", "malformed"],
    ["", "malformed"],
  ])("%s is %s", (address, kind) => {
    expect(addressKind(address)).toBe(kind);
  });

  test("outside 2000::/3 is never public", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }), (bits) => {
        if (bits >> 125n !== 1n) expect(addressKind(groups6(bits))).not.toBe("public");
      }),
    );
  });
});

describe("a URL", () => {
  test.each([
    ["http://localhost./", "localhost", 80],
    ["https://EXAMPLE.com.:8443/x#y", "example.com", 8443],
    ["https://bücher.example/", "xn--bcher-kva.example", 443],
    ["http://ⓔⓧⓐⓜⓟⓛⓔ.com/", "example.com", 80],
    ["http://[::FFFF:127.0.0.1]:8080/", "[::ffff:7f00:1]", 8080],
    ["https://metadata.google.internal./", "metadata.google.internal", 443],
    ["http://a_b-c.example/", "a_b-c.example", 80],
  ])("%s goes to %s port %d", (url, host, port) => {
    const target = targetOf(url);
    expect([target.host, target.port, target.url.hash]).toEqual([host, port, ""]);
    expect(target.url.hostname).toBe(host);
  });

  test.each([
    "ftp://example.com/",
    "file:///etc/passwd",
    "data:text/plain,x",
    "javascript:0",
    "http://user:pass@example.com/",
    "http://user@example.com/",
    "http://*.example.com/",
    "http://a..b/",
    "http://example.com../",
    "http://[fe80::1%25eth0]/",
    "http://256.1.1.1/",
    "http://example.com:0/",
    "http://example.com:22/",
    "http://example.com:6667/",
    "https://example.com:70000/",
    "//example.com/",
    "",
    `http://example.com/${"x".repeat(20_000)}`,
  ])("%s is refused", (url) => {
    expect(codeOf(() => targetOf(url))).toBe("invalid_argument");
  });

  test("of whatever text leads to a host that capabilities can name, or is refused", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.webUrl(), fc.string({ unit: "binary" })), (text) => {
        const code = codeOf(() => {
          const { host, url } = targetOf(text.includes(":") ? text : `http://${text}/`);
          expect(host).toMatch(/^(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])$/);
          expect(url.hostname).toBe(host);
        });
        expect(["ok", "invalid_argument"]).toContain(code);
      }),
    );
  });
});

describe("an address that is not public", () => {
  const hosts = new PrivateHosts([
    "127.0.0.1:9000",
    "[::1]",
    "DB.internal",
    "169.254.169.254",
    "2130706434",
  ]);

  test("takes both a capability that names it and the owner's list", () => {
    expect(codeOf(() => admits("http://127.0.0.1:9000/", undefined, hosts))).toBe("ok");
    expect(codeOf(() => admits("http://127.0.0.1:9000/", undefined, hosts, false))).toBe(
      "permission_denied",
    );
    expect(codeOf(() => admits("http://127.0.0.1:9001/", undefined, hosts))).toBe(
      "permission_denied",
    );
    expect(codeOf(() => admits("http://127.0.0.1:9000/", undefined, nothing))).toBe(
      "permission_denied",
    );
    expect(codeOf(() => admits("http://[::1]:1234/", undefined, hosts))).toBe("ok");
    expect(codeOf(() => admits("http://127.0.0.2/", undefined, hosts))).toBe("ok");
    expect(codeOf(() => admits("http://169.254.169.254/latest", undefined, hosts))).toBe("ok");
  });

  test("may stand behind a listed name only if it is of an inner network", () => {
    const at = (address: string) => codeOf(() => admits("http://db.internal/", [address], hosts));
    expect(["10.1.2.3", "127.0.0.1", "fd00::1", "100.64.0.1", "8.8.8.8"].map(at)).toEqual(
      Array(5).fill("ok"),
    );
    expect(
      [
        "169.254.169.254",
        "0.0.0.0",
        "224.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "fe80::1",
        "nonsense",
      ].map(at),
    ).toEqual(Array(7).fill("permission_denied"));
  });

  test("among public ones refuses them all, and none is not enough", () => {
    expect(codeOf(() => admits("https://a.example/", ["8.8.8.8", "1.1.1.1"]))).toBe("ok");
    expect(codeOf(() => admits("https://a.example/", ["8.8.8.8", "10.0.0.1"]))).toBe(
      "permission_denied",
    );
    expect(codeOf(() => admits("https://a.example/", ["10.0.0.1", "8.8.8.8"]))).toBe(
      "permission_denied",
    );
    expect(codeOf(() => admits("https://a.example/", []))).toBe("egress_failed");
  });

  test("is refused without telling which address a name stands for, but with what is missing", () => {
    const target = targetOf("http://db.internal:8080/");
    const refuse = () => nothing.admit(target, ["10.11.12.13"], { named: false });
    expect(refuse).toThrow(/^db\.internal stands for an address that is not public \(private\)\.$/);
    try {
      refuse();
    } catch (error) {
      const { hint } = (error as SoloError).toBody();
      expect(hint).toContain("net:db.internal:8080");
      expect(hint).toContain(
        'adds "db.internal:8080" to egress_private_hosts in [security] of the configuration file',
      );
    }
    const metadata = codeAndHint(() =>
      nothing.admit(target, ["169.254.169.254"], { named: false }),
    );
    expect(metadata).toEqual([
      "permission_denied",
      "A name may not lead there; list and request the address itself.",
    ]);
  });
});
