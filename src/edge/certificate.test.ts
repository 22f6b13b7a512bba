import { expect, test } from "bun:test";
import { selfSigned } from "../../test/venue/certificate.ts";
import { GatewayError } from "../lib/errors.ts";
import { type Certificate, judge, outOfTime, readPair } from "./certificate.ts";

const FILES = { cert: "/c.pem", key: "/k.pem" };
const one = selfSigned("one");
const two = selfSigned("two");

/** Why the pair is refused. */
function refusal(cert: string, key: string): string {
  try {
    judge({ cert, key }, FILES);
  } catch (error) {
    expect(error).toBeInstanceOf(GatewayError);
    expect((error as GatewayError).code).toBe("TLS");
    return (error as GatewayError).message;
  }
  throw new Error("nothing was refused");
}

/** What the openssl program makes of a key. */
function openssl(args: readonly string[], input: string): string {
  const { stdout, exitCode, stderr } = Bun.spawnSync(["openssl", ...args], { stdin: Buffer.from(input) });
  if (exitCode !== 0) throw new Error(stderr.toString());
  return stdout.toString();
}

test("certificate - a good pair is described for the log, whatever stands around the blocks", () => {
  const found = judge({ cert: `a comment\n${one.cert}${two.cert}`, key: one.key }, FILES);
  expect(found).toMatchObject({ subject: "CN=one", names: "DNS:localhost, IP Address:127.0.0.1" });
  expect(found.fingerprint).toMatch(/^[0-9a-f]{64}$/);
  expect(found.validTo.getTime()).toBeGreaterThan(Date.now());
});

test("certificate - the key of another one, and swapped files, are told", () => {
  expect(refusal(one.cert, two.key)).toBe("the key in /k.pem is not that of the first certificate in /c.pem");
  expect(refusal(two.cert + one.cert, one.key)).toContain("is not that of the first certificate");
  expect(refusal(one.key, one.cert)).toBe("/c.pem holds a private key and no certificate: are the two files swapped?");
  expect(refusal(one.cert, one.cert)).toBe("/k.pem holds a certificate and no private key: are the two files swapped?");
});

test("certificate - files that are empty, cut off or something else are told", () => {
  expect(refusal("", one.key)).toBe(
    '/c.pem holds no certificate: want PEM, "-----BEGIN CERTIFICATE-----" (it is empty)',
  );
  expect(refusal(one.cert.slice(0, 200), one.key)).toEndWith(" (it ends in the middle of a block)");
  expect(refusal(one.cert, one.key.slice(0, 100))).toEndWith(" (it ends in the middle of a block)");
  expect(refusal("hello", one.key)).toEndWith('"-----BEGIN CERTIFICATE-----"');
  expect(refusal(one.cert, "hello")).toBe('/k.pem holds no private key: want PEM, "-----BEGIN PRIVATE KEY-----"');
  const broken = one.cert.replace(/\n(.{20})/, "\nAAAAAAAAAAAAAAAAAAAA");
  expect(refusal(one.cert + broken, one.key)).toStartWith("certificate 2 in /c.pem cannot be read: ");
  expect(refusal(one.cert, one.key.replace(/\n(.{30})/, "\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"))).toStartWith(
    "the key in /k.pem cannot be read: ",
  );
});

test("certificate - a key with a passphrase is told", () => {
  const locked = openssl(["pkcs8", "-topk8", "-passout", "pass:secret"], one.key);
  expect(refusal(one.cert, locked)).toBe(
    "the key in /k.pem has a passphrase: store it without one, readable by this user only",
  );
  const old = openssl(["ec", "-aes128", "-passout", "pass:secret"], one.key);
  expect(refusal(one.cert, old)).toContain("has a passphrase");
});

test("certificate - one out of its time is told, not refused", () => {
  const certificate = { validFrom: new Date(1000), validTo: new Date(2000) } as Certificate;
  expect(outOfTime(certificate, 1500)).toBeNull();
  expect(outOfTime(certificate, 2001)).toBe("it expired at 1970-01-01T00:00:02.000Z");
  expect(outOfTime(certificate, 999)).toBe("it is not valid before 1970-01-01T00:00:01.000Z");
});

test("certificate - a file that cannot be read is told by its name", async () => {
  const failing = (code: string) => () => Promise.reject(Object.assign(new Error("no"), { code }));
  const message = (read: (path: string) => Promise<string>) =>
    readPair(FILES, read).catch((error: unknown) => (error as Error).message);
  expect(await message(failing("ENOENT"))).toBe("cannot read the certificate /c.pem: there is no such file");
  expect(await message(failing("EACCES"))).toBe("cannot read the certificate /c.pem: this user may not read it");
  const keyless = (path: string) => (path === "/k.pem" ? failing("EISDIR")() : Promise.resolve("x"));
  expect(await message(keyless)).toBe("cannot read the key /k.pem: it is a folder");
  expect(await message(failing("EIO"))).toBe("cannot read the certificate /c.pem: EIO");
});
