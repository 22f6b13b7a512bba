/**
 * The certificate of the public listener: two PEM files, read and judged on the main thread.
 *
 * Invariants: a pair that passes here can be served: every certificate is readable, the key is that of the first one, and
 * the TLS library takes both; every refusal is one sentence that names the file. A certificate out of its time is served
 * all the same and told of: a node that is down helps nobody.
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import { GatewayError } from "../lib/errors.ts";
import type { TlsPair } from "./config.ts";

export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
}

export interface Certificate extends TlsPair {
  /** For the log: whom it names, until when, and its SHA-256. */
  readonly subject: string;
  readonly names: string;
  readonly validFrom: Date;
  readonly validTo: Date;
  readonly fingerprint: string;
}

const refuse = (sentence: string, cause?: unknown): GatewayError => new GatewayError("TLS", sentence, { cause });

/** Throws GatewayError TLS. `read` throws as node:fs does. */
export async function readPair(files: TlsFiles, read: (path: string) => Promise<string>): Promise<TlsPair> {
  const text = async (path: string, what: string): Promise<string> => {
    try {
      return await read(path);
    } catch (cause) {
      const why = cause instanceof Error && "code" in cause ? String(cause.code) : String(cause);
      throw refuse(`cannot read the ${what} ${path}: ${REASONS[why] ?? why}`, cause);
    }
  };
  return { cert: await text(files.cert, "certificate"), key: await text(files.key, "key") };
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EACCES: "this user may not read it",
  EISDIR: "it is a folder",
};

/** Throws GatewayError TLS with one sentence that says what is wrong with which file. */
export function judge(pair: TlsPair, files: TlsFiles): Certificate {
  const [leaf] = certificates(pair.cert, files.cert);
  const key = privateKey(pair.key, files.key);
  if (!leaf!.checkPrivateKey(key)) {
    throw refuse(`the key in ${files.key} is not that of the first certificate in ${files.cert}`);
  }
  try {
    createSecureContext(pair);
  } catch (cause) {
    throw refuse(`the TLS library refuses ${files.cert} with ${files.key}: ${textOf(cause)}`, cause);
  }
  const { subject, subjectAltName, validFrom, validTo, fingerprint256 } = leaf!;
  return {
    ...pair,
    subject: (subject ?? "").replaceAll("\n", ", "),
    names: subjectAltName ?? "",
    validFrom: new Date(validFrom),
    validTo: new Date(validTo),
    fingerprint: fingerprint256.replaceAll(":", "").toLowerCase(),
  };
}

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----[\s\S]*?-----END \1-----/g;

/** Kinds of the file's PEM blocks, with their texts. */
const blocks = (text: string): { kind: string; pem: string }[] =>
  [...text.matchAll(BLOCK)].map(([pem, kind]) => ({ kind: kind!, pem }));

function certificates(text: string, file: string): X509Certificate[] {
  const all = blocks(text);
  const found = all.filter(({ kind }) => /^(X509 |TRUSTED )?CERTIFICATE$/.test(kind));
  if (found.length === 0) {
    if (all.some(({ kind }) => kind.endsWith("PRIVATE KEY"))) {
      throw refuse(`${file} holds a private key and no certificate: are the two files swapped?`);
    }
    throw refuse(`${file} holds no certificate: want PEM, "-----BEGIN CERTIFICATE-----"${cut(text)}`);
  }
  return found.map(({ pem }, at) => {
    try {
      return new X509Certificate(pem);
    } catch (cause) {
      throw refuse(`certificate ${at + 1} in ${file} cannot be read: ${textOf(cause)}`, cause);
    }
  });
}

function privateKey(text: string, file: string): ReturnType<typeof createPrivateKey> {
  const all = blocks(text);
  const found = all.find(({ kind }) => kind.endsWith("PRIVATE KEY"));
  if (found === undefined) {
    if (all.some(({ kind }) => kind.endsWith("CERTIFICATE"))) {
      throw refuse(`${file} holds a certificate and no private key: are the two files swapped?`);
    }
    throw refuse(`${file} holds no private key: want PEM, "-----BEGIN PRIVATE KEY-----"${cut(text)}`);
  }
  if (found.kind.startsWith("ENCRYPTED") || /^Proc-Type: 4,ENCRYPTED/m.test(found.pem)) {
    throw refuse(`the key in ${file} has a passphrase: store it without one, readable by this user only`);
  }
  try {
    return createPrivateKey(found.pem);
  } catch (cause) {
    throw refuse(`the key in ${file} cannot be read: ${textOf(cause)}`, cause);
  }
}

/** A file that is being written ends in the middle of a block. */
const cut = (text: string): string =>
  text.trim() === "" ? " (it is empty)" : text.includes("-----BEGIN ") ? " (it ends in the middle of a block)" : "";

const textOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));

/** What is wrong with its time; null if nothing is. */
export function outOfTime({ validFrom, validTo }: Certificate, nowMs: number): string | null {
  if (nowMs > validTo.getTime()) return `it expired at ${validTo.toISOString()}`;
  if (nowMs < validFrom.getTime()) return `it is not valid before ${validFrom.toISOString()}`;
  return null;
}
