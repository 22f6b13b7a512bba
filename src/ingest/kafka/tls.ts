/** What the `ssl.*` properties say: whom we trust, and who we are. Files are read when the broker is made. */
import { readFileSync } from "node:fs";
import type { ConnectionOptions } from "node:tls";
import type { BrokerProperties } from "../broker-properties.ts";

export type TlsSettings = Pick<ConnectionOptions, "ca" | "cert" | "key" | "passphrase" | "checkServerIdentity">;

export function tlsOf(given: BrokerProperties): TlsSettings {
  const ca = pem(given, "ssl.ca.location") ?? pem(given, "ssl.truststore.location");
  const store = pem(given, "ssl.keystore.location");
  const cert = pem(given, "ssl.certificate.location") ?? store;
  const key = pem(given, "ssl.key.location") ?? store;
  if ((cert === null) !== (key === null)) {
    throw given.wrong("ssl.key.location", "and ssl.certificate.location are set together");
  }
  const passphrase = given.text("ssl.key.password") || null;
  const algorithm = given.text("ssl.endpoint.identification.algorithm") ?? "https";
  const checksName = !["", "none"].includes(algorithm.trim().toLowerCase());
  return {
    ...(ca === null ? {} : { ca }),
    ...(cert === null || key === null ? {} : { cert, key }),
    ...(passphrase === null ? {} : { passphrase }),
    ...(checksName ? {} : { checkServerIdentity: () => undefined }),
  };
}

function pem(given: BrokerProperties, name: string): string | null {
  const path = given.text(name) || null;
  if (path === null) return null;
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    throw given.wrong(
      name,
      `names a file that cannot be read: ${cause instanceof Error ? cause.message : String(cause)}`,
    );
  }
  if (!text.includes("-----BEGIN ")) {
    throw given.wrong(
      name,
      `names ${path}, which is no PEM file (JKS and PKCS#12 stores are not read: export it as PEM)`,
    );
  }
  return text;
}
