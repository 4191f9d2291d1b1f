/** What stands on revocation lists. */
import "reflect-metadata";
import { PemConverter, X509Crl } from "@peculiar/x509";
import { plainSerial } from "#certs/serial.ts";

/** The serial numbers on every list in the PEM text. */
export const revokedSerials = (pem: string): ReadonlySet<string> =>
  new Set(
    PemConverter.decode(pem).flatMap((der) =>
      new X509Crl(der).entries.map(({ serialNumber }) => plainSerial(serialNumber)),
    ),
  );
