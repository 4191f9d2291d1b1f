/**
 * TLS for every listener of a kernel, and what changes about it while they listen.
 *
 * 1. Each connection proves its certificate anew: TLS 1.3 only, and no session is resumed.
 * 2. Changed files are taken over within `reloadMs` without a restart; files that do not work
 *    together leave everything as it was, and the log says so.
 * 3. A connection ends when its certificate is revoked or expires, or its authority is replaced.
 * 4. A revocation list that was there and is gone is a fault, not an empty list.
 */
import { constants } from "node:crypto";
import type { Server as TlsServer, TLSSocket, TlsOptions } from "node:tls";
import type { Clock } from "#base/clock.ts";
import { toSoloError } from "#base/errors.ts";
import type { Logger } from "#base/log.ts";
import { plainSerial } from "#certs/serial.ts";
import { readMaterial, stampOf, type TlsFiles, type TlsMaterial } from "#gateway/tls/material.ts";

export interface TlsLimits {
  /** From connection to the end of the TLS handshake. */
  readonly handshakeMs: number;
  /** How often the files are looked at. */
  readonly reloadMs: number;
  /** The log warns when the server's certificate has less time left than this. */
  readonly expiryWarningMs: number;
}

const TLS_LIMITS: TlsLimits = Object.freeze({
  handshakeMs: 10_000,
  reloadMs: 1000,
  expiryWarningMs: 30 * 86_400_000,
});

export interface ServerTlsOptions {
  readonly files: TlsFiles;
  /** Refuse clients without an accepted certificate at the handshake. */
  readonly requireClient: boolean;
  readonly log: Logger;
  readonly clock: Clock;
  readonly limits?: Partial<TlsLimits>;
}

interface Shown {
  readonly serial: string;
  readonly notAfterMs: number;
}

/** A TLS server of node:https or node:http2. */
export type SecureServer = Pick<TlsServer, "setSecureContext"> & {
  on(event: "secureConnection", listener: (socket: TLSSocket) => void): unknown;
  once(event: "close", listener: () => void): unknown;
};

export class ServerTls implements Disposable {
  readonly #options: ServerTlsOptions;
  readonly #limits: TlsLimits;
  readonly #servers = new Set<SecureServer>();
  /** Open connections that showed a certificate. */
  readonly #shown = new Map<TLSSocket, Shown>();
  readonly #timer: NodeJS.Timeout;
  #material: TlsMaterial;
  #stamp: string;
  #revoked: ReadonlySet<string> = new Set();
  #busy = false;

  static async open(options: ServerTlsOptions): Promise<ServerTls> {
    const { files, requireClient } = options;
    // Before the reading: what changes meanwhile is read again.
    const stamp = await stampOf(files);
    const material = await readMaterial(files, { clientCa: requireClient, crl: false });
    return new ServerTls(options, material, stamp);
  }

  private constructor(options: ServerTlsOptions, material: TlsMaterial, stamp: string) {
    this.#options = options;
    this.#limits = { ...TLS_LIMITS, ...options.limits };
    this.#material = material;
    this.#stamp = stamp;
    this.#warnOfExpiry();
    this.#timer = setInterval(() => void this.#look(), this.#limits.reloadMs).unref();
  }

  /** For the making of a server. */
  get serverOptions(): TlsOptions {
    return { ...this.#context, handshakeTimeout: this.#limits.handshakeMs };
  }

  get #context() {
    const { cert, key, ca, crl } = this.#material;
    return {
      cert,
      key,
      ...(ca !== undefined && { ca }),
      ...(ca !== undefined && crl !== undefined && { crl }),
      minVersion: "TLSv1.3",
      secureOptions: constants.SSL_OP_NO_TICKET,
      requestCert: ca !== undefined,
      rejectUnauthorized: this.#options.requireClient,
    } as const;
  }

  /** Keeps the server's certificates current, and its connections honest, until it closes. */
  attach(server: SecureServer): void {
    this.#servers.add(server);
    server.once("close", () => this.#servers.delete(server));
    server.on("secureConnection", (socket) => this.#admit(socket));
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #admit(socket: TLSSocket): void {
    const certificate = socket.getPeerX509Certificate();
    // One that is not accepted is refused with the first request: that can say why.
    if (certificate === undefined || !socket.authorized) return;
    const serial = plainSerial(certificate.serialNumber);
    // Its handshake may have begun before the list came.
    if (this.#revoked.has(serial)) {
      socket.destroy();
      return;
    }
    this.#shown.set(socket, { serial, notAfterMs: certificate.validToDate.getTime() });
    socket.once("close", () => this.#shown.delete(socket));
  }

  async #look(): Promise<void> {
    const now = this.#options.clock.wallMs();
    this.#end(({ notAfterMs }) => notAfterMs <= now);
    if (this.#busy) return;
    this.#busy = true;
    try {
      const stamp = await stampOf(this.#options.files);
      if (stamp !== this.#stamp) await this.#reload(stamp);
    } finally {
      this.#busy = false;
    }
  }

  async #reload(stamp: string): Promise<void> {
    const { files, requireClient, log } = this.#options;
    const before = this.#material;
    this.#stamp = stamp;
    try {
      const next = await readMaterial(files, {
        clientCa: requireClient || before.ca !== undefined,
        crl: before.crl !== undefined,
      });
      const revoked = next.crl === before.crl ? this.#revoked : await serialsOn(next.crl);
      this.#material = next;
      this.#revoked = revoked;
    } catch (error) {
      const { message } = toSoloError(error);
      log.error("changed certificates are not used; the old ones stay", { reason: message });
      return;
    }
    for (const server of this.#servers) server.setSecureContext(this.#context);
    const replaced = this.#material.ca !== before.ca;
    this.#end(({ serial }) => replaced || this.#revoked.has(serial));
    log.info("certificates reloaded", { revoked: this.#revoked.size });
    this.#warnOfExpiry();
  }

  #end(isOver: (shown: Shown) => boolean): void {
    for (const [socket, shown] of this.#shown) if (isOver(shown)) socket.destroy();
  }

  #warnOfExpiry(): void {
    const { notAfterMs } = this.#material;
    const left = notAfterMs - this.#options.clock.wallMs();
    if (left > this.#limits.expiryWarningMs) return;
    this.#options.log.warn("the server's certificate expires soon: see `solo certs renew`", {
      expires_at: new Date(notAfterMs).toISOString(),
    });
  }
}

/** Only a change of the list asks for the library that reads it. */
async function serialsOn(crl: string | undefined): Promise<ReadonlySet<string>> {
  if (crl === undefined) return new Set();
  const { revokedSerials } = await import("#certs/crl.ts");
  return revokedSerials(crl);
}
