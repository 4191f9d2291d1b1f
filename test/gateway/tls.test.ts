/** Certificates at both gateways (src/gateway/tls): who gets in, as whom, and until when. */
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { connect, type TLSSocket } from "node:tls";
import { credentials, type ServiceError } from "@grpc/grpc-js";
import { Agent, fetch } from "undici";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Credentials } from "#api/kernel-port.ts";
import { systemClock } from "#base/clock.ts";
import { silentLogger, type Logger } from "#base/log.ts";
import { GrpcGateway } from "#gateway/grpc/gateway.ts";
import { RestGateway } from "#gateway/rest/gateway.ts";
import { ServerTls } from "#gateway/tls/server-tls.ts";
import { Certificates, type Shown } from "../support/certificates.ts";
import { aborted, event, fakeKernel, TOKEN } from "../support/fake-rest-kernel.ts";
import { failureFrom, soloErrorOf, stockClient } from "../support/grpc-client.ts";
import { until } from "../support/until.ts";

const RELOAD_MS = 20;

interface Options {
  readonly requireClient?: boolean;
  readonly log?: Logger;
}

async function serve({ requireClient = false, log = silentLogger }: Options = {}) {
  const certificates = await Certificates.make();
  const tls = await ServerTls.open({
    files: certificates.files,
    requireClient,
    log,
    clock: systemClock,
    limits: { reloadMs: RELOAD_MS },
  });
  const seen: Credentials[] = [];
  const kernel = fakeKernel({
    calls: {
      List: (_, context) => {
        seen.push(context.credentials);
        return { services: [] };
      },
    },
    streams: {
      Watch: async function* (_, { signal }) {
        yield event(1);
        await aborted(signal);
      },
    },
  });
  const listening = { kernel, host: "127.0.0.1", port: 0, log: silentLogger, tls };
  const rest = await RestGateway.start({ ...listening, version: "1", readPage: async () => "" });
  const grpc = await GrpcGateway.start(listening);
  const ca = await certificates.ca();
  const agents: Agent[] = [];
  onTestFinished(async () => {
    await Promise.all(agents.map((agent) => agent.destroy()));
    await Promise.all([rest.stop({ graceMs: 0 }), grpc.stop({ graceMs: 0 })]);
    tls[Symbol.dispose]();
  });

  /** GET /services over REST: its status, and the code of a refusal. */
  const askRest = async (shown?: Shown): Promise<string> => {
    const agent = new Agent({ connect: { ca, ...shown } });
    agents.push(agent);
    const response = await fetch(`${rest.address.url}/services`, {
      dispatcher: agent,
      headers: { authorization: `Bearer ${TOKEN}` },
    });
    const { code } = (await response.json()) as { code?: string };
    return code ?? String(response.status);
  };
  const grpcClient = (shown?: Shown) => {
    const client = stockClient(
      // grpc-js cannot check an address that is a number: it insists on a name.
      { host: "localhost", port: grpc.address.port },
      credentials.createSsl(
        Buffer.from(ca),
        shown === undefined ? null : Buffer.from(shown.key),
        shown === undefined ? null : Buffer.from(shown.cert),
      ),
    );
    onTestFinished(() => client.close());
    return client;
  };
  const asOwner = { metadata: { authorization: `Bearer ${TOKEN}` }, timeoutMs: 10_000 };
  const askGrpc = async (shown?: Shown): Promise<string> => {
    try {
      await grpcClient(shown).unary("List", {}, asOwner);
      return "200";
    } catch (thrown) {
      const error = thrown as ServiceError;
      return error.metadata.get("solo-code").length > 0 ? soloErrorOf(error).code : error.details;
    }
  };
  /** A bare TLS connection to the REST port. */
  const dial = async (options: object = {}): Promise<TLSSocket> => {
    const socket = connect({ host: "127.0.0.1", port: rest.address.port, ca, ...options });
    onTestFinished(() => void socket.destroy());
    socket.on("error", () => {});
    await once(socket, "secureConnect");
    return socket;
  };
  return { certificates, rest, seen, askRest, askGrpc, grpcClient, asOwner, dial };
}

describe("a client certificate", () => {
  test("is not asked for in vain: without one the token alone counts", async () => {
    const { askRest, askGrpc, seen } = await serve();
    expect([await askRest(), await askGrpc()]).toEqual(["200", "200"]);
    expect(seen.map(({ certificateTenant }) => certificateTenant)).toEqual([undefined, undefined]);
  });

  test("holds its client to the tenant of the URI, else of the common name", async () => {
    const { certificates, askRest, askGrpc, seen } = await serve({ requireClient: true });
    const shown = [
      await certificates.of("acme"),
      await certificates.named({ cn: "by-name" }),
      await certificates.named({ cn: "other", uris: ["solo://tenant/by-uri"] }),
      await certificates.operator(),
    ];
    for (const each of shown) {
      expect(await askRest(each)).toBe("200");
      expect(await askGrpc(each)).toBe("200");
    }
    expect(seen.map(({ certificateTenant }) => certificateTenant)).toEqual(
      ["acme", "by-name", "by-uri", undefined].flatMap((tenant) => [tenant, tenant]),
    );
  });

  test("that is not good is refused, never taken for none", async () => {
    const { certificates, askRest, askGrpc, seen } = await serve();
    const stranger = await Certificates.make();
    const revoked = await certificates.of("gone");
    await certificates.book.revoke("gone");
    const bad: Record<string, Shown> = {
      expired: await certificates.expired("acme"),
      revoked,
      "another authority's": await stranger.of("acme"),
      "a server's": await certificates.read(certificates.folder.server),
      "for an odd common name": await certificates.named({ cn: "not a tenant" }),
      "for an odd URI": await certificates.named({ cn: "acme", uris: ["solo://tenant/a/b"] }),
      "for two tenants": await certificates.named({
        cn: "acme",
        uris: ["solo://tenant/a", "solo://tenant/b"],
      }),
    };
    // The revocation is read meanwhile.
    await until(async () => (await askRest(revoked)) !== "200", "the revocation to be read");
    seen.length = 0;
    for (const [what, shown] of Object.entries(bad)) {
      expect([what, await askRest(shown)]).toEqual([what, "unauthenticated"]);
      expect([what, await askGrpc(shown)]).toEqual([what, "unauthenticated"]);
    }
    expect(seen).toEqual([]);
  });

  test("is required at the handshake where the configuration says so", async () => {
    const { certificates, askRest, askGrpc, seen } = await serve({ requireClient: true });
    const stranger = await Certificates.make();
    const shown = [
      undefined,
      await certificates.expired("acme"),
      await stranger.of("acme"),
      await certificates.read(certificates.folder.server),
    ];
    for (const each of shown) {
      await expect(askRest(each)).rejects.toThrow("fetch failed");
      expect(await askGrpc(each)).not.toBe("200");
    }
    // The handshake is good, the name is not: that has a code.
    const odd = await certificates.named({ cn: "not a tenant" });
    expect([await askRest(odd), await askGrpc(odd)]).toEqual([
      "unauthenticated",
      "unauthenticated",
    ]);
    expect(seen).toEqual([]);
  });

  test("is proved anew by every connection", async () => {
    const { certificates, dial, rest } = await serve();
    const shown = await certificates.of("acme");
    const first = await dial(shown);
    let ticket: Buffer | undefined;
    first.on("session", (given) => (ticket = given));
    first.write(`GET /health HTTP/1.1\r\nHost: 127.0.0.1:${rest.address.port}\r\n\r\n`);
    await once(first, "data");
    expect(ticket).toBeDefined();
    const second = await dial({ ...shown, session: ticket });
    expect([first.getProtocol(), second.isSessionReused()]).toEqual(["TLSv1.3", false]);
    await expect(dial({ ...shown, maxVersion: "TLSv1.2" })).rejects.toThrow();
  });
});

describe("while the gateways listen", () => {
  test("a revoked certificate loses its open connections, streams too; others keep theirs", async () => {
    const { certificates, dial, grpcClient, asOwner, askRest } = await serve();
    const [revoked, kept] = [await certificates.of("gone"), await certificates.of("kept")];
    const connections = [await dial(revoked), await dial(kept)];
    const closed = once(connections[0]!, "close");
    const stream = grpcClient(revoked).stream("Watch", {}, asOwner);
    stream.on("data", () => {});
    const broken = once(stream, "error");
    const client = grpcClient(revoked);
    await client.unary("List", {}, asOwner);
    await certificates.book.revoke("gone");
    await Promise.all([closed, broken]);
    expect(await askRest(revoked)).toBe("unauthenticated");
    expect(soloErrorOf(await failureFrom(client.unary("List", {}, asOwner))).code).toBe(
      "unauthenticated",
    );
    expect([await askRest(kept), connections[1]!.destroyed]).toEqual(["200", false]);
  });

  test("a renewed server certificate is shown to new connections", async () => {
    const { certificates, dial, askGrpc } = await serve();
    const before = await dial();
    const { serial } = await certificates.book.renew({
      name: "server",
      days: 1,
      hosts: [],
      revokeOld: false,
    });
    const shown = async () => (await dial()).getPeerX509Certificate()?.serialNumber.toLowerCase();
    await until(async () => (await shown()) === serial, "the new certificate to be shown");
    expect([before.destroyed, await askGrpc()]).toEqual([false, "200"]);
  });

  test("files that do not work leave the old ones in force, a lost revocation list too", async () => {
    const told: unknown[] = [];
    const log = { ...silentLogger, error: (_: string, about?: object) => void told.push(about) };
    const { certificates, askRest } = await serve({ log });
    await writeFile(certificates.folder.server.cert, "not a certificate");
    await until(() => told.length > 0, "the log to say so");
    expect(JSON.stringify(told)).toContain("security.tls_cert");
    expect(await askRest()).toBe("200");
    const revoked = await certificates.of("gone");
    await certificates.book.revoke("gone");
    const before = told.length;
    await writeFile(certificates.folder.crl, "");
    await until(() => told.length > before, "the log to say so again");
    expect(await askRest()).toBe("200");
    await certificates.book.renew({ name: "server", days: 1, hosts: [], revokeOld: false });
    await certificates.book.revoke("gone");
    await until(async () => (await askRest(revoked)) !== "200", "the list to be read again");
  });
});

test("TLS with files that cannot be used is refused, naming the setting", async () => {
  const { files, folder, ...certificates } = await serveNothing();
  const open = (change: object, requireClient = false) =>
    ServerTls.open({
      files: { ...files, ...change },
      requireClient,
      log: silentLogger,
      clock: systemClock,
    });
  const failure = async (change: object, requireClient?: boolean) => {
    const error = await open(change, requireClient).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    return error as { code: string; message: string };
  };
  const none = `${certificates.dataDir}/none`;
  expect(await failure({ cert: none })).toMatchObject({
    code: "config_invalid",
    message: expect.stringContaining("security.tls_cert"),
  });
  expect((await failure({ key: none })).message).toContain("security.tls_key");
  expect((await failure({ key: folder.ca.key })).message).toContain("security.tls_key");
  expect((await failure({ clientCa: none }, true)).message).toContain("security.tls_client_ca");
  expect((await failure({ crl: folder.ca.key })).message).toContain("security.tls_crl");
  (await open({ clientCa: none, crl: none }))[Symbol.dispose]();
});

async function serveNothing() {
  const { files, folder, dataDir } = await Certificates.make();
  return { files, folder, dataDir };
}
