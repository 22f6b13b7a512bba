/** Renewal with files in memory and a clock of the test's own. */
import { expect, test } from "bun:test";
import { selfSigned } from "../../test/venue/certificate.ts";
import { createFakeClock } from "../lib/fake-clock.ts";
import type { Log } from "../lib/log.ts";
import { Renewal } from "./renewal.ts";

const [one, two, three] = [selfSigned("one"), selfSigned("two"), selfSigned("three")];

async function rig() {
  const files: Record<string, string | undefined> = { "/c": one.cert, "/k": one.key };
  // Within the two days for which the certificates are valid.
  const clock = createFakeClock((Date.now() + 3_600_000) * 1000);
  const lines: string[] = [];
  const line = (message: string) => void lines.push(message);
  const log: Log = { debug: line, info: line, warn: line, error: line, child: () => log };
  const renewed: string[] = [];
  const read = async (path: string): Promise<string> => {
    const text = files[path];
    if (text === undefined) throw Object.assign(new Error("no"), { code: "ENOENT" });
    return text;
  };
  const renewal = await Renewal.start({
    ...{ files: { cert: "/c", key: "/k" }, read, clock, log },
    renewed: ({ subject }) => void renewed.push(subject),
  });
  return {
    ...{ clock, lines, renewed, renewal },
    set({ cert, key }: { cert?: string; key?: string }) {
      files["/c"] = cert;
      files["/k"] = key;
    },
  };
}

test("renewal - changed files are taken when two readings agree", async () => {
  const r = await rig();
  await r.clock.run(5000);
  expect(r.renewed).toEqual([]);
  r.set(two);
  await r.clock.run(1000);
  expect(r.renewed).toEqual([]);
  await r.clock.run(1000);
  expect(r.renewed).toEqual(["CN=two"]);
  await r.clock.run(10_000);
  expect(r.renewed).toEqual(["CN=two"]);
  expect(r.renewal.counts).toEqual({ renewals: 1, refusals: 0 });
  expect(r.lines).toEqual(["serving with TLS", "the certificate was renewed: new connections get it"]);
  r.renewal.stop();
  expect(r.clock.pending).toBe(0);
});

test("renewal - a pair that is written one file after the other is taken whole, without a word about the half", async () => {
  const r = await rig();
  r.set({ cert: two.cert, key: one.key });
  await r.clock.run(1000);
  r.set(two);
  await r.clock.run(3000);
  expect(r.renewed).toEqual(["CN=two"]);
  expect(r.renewal.counts).toEqual({ renewals: 1, refusals: 0 });
  r.renewal.stop();
});

test("renewal - broken files are refused once, the old certificate stays, a good one afterwards is taken", async () => {
  const r = await rig();
  r.set({ cert: two.cert, key: one.key });
  await r.clock.run(30_000);
  r.set({ key: one.key });
  await r.clock.run(30_000);
  expect(r.renewed).toEqual([]);
  expect(r.renewal.certificate.subject).toBe("CN=one");
  expect(r.lines.slice(1)).toEqual([
    "the new certificate is refused, the old one stays: the key in /k is not that of the first certificate in /c",
    "the new certificate is refused, the old one stays: cannot read the certificate /c: there is no such file",
  ]);
  r.set(three);
  await r.clock.run(3000);
  expect(r.renewed).toEqual(["CN=three"]);
  expect(r.renewal.counts).toEqual({ renewals: 1, refusals: 2 });
  r.renewal.stop();
});

test("renewal - the old files put back are no renewal", async () => {
  const r = await rig();
  r.set({ cert: two.cert, key: one.key });
  await r.clock.run(5000);
  r.set(one);
  await r.clock.run(5000);
  expect([r.renewed, r.renewal.counts]).toEqual([[], { renewals: 0, refusals: 1 }]);
  r.renewal.stop();
});

test("renewal - asked for, it reads at once and says what came of it", async () => {
  const r = await rig();
  await r.renewal.reload();
  r.set(two);
  await r.renewal.reload();
  r.set({ cert: two.cert, key: "" });
  await r.renewal.reload();
  expect(r.renewed).toEqual(["CN=two"]);
  expect(r.lines.slice(1)).toEqual([
    "the certificate is the one that is served already",
    "the certificate was renewed: new connections get it",
    'the new certificate is refused, the old one stays: /k holds no private key: want PEM, "-----BEGIN PRIVATE KEY-----" (it is empty)',
  ]);
  // The poll finds nothing new in what was looked at already.
  await r.clock.run(10_000);
  expect(r.renewal.counts).toEqual({ renewals: 1, refusals: 1 });
  r.renewal.stop();
});

test("renewal - an expired certificate is served with a warning", async () => {
  const lines: string[] = [];
  const line = (message: string) => void lines.push(message);
  const log: Log = { debug: line, info: line, warn: line, error: line, child: () => log };
  const clock = createFakeClock((Date.now() + 10 * 86_400_000) * 1000);
  const read = async (path: string) => (path === "/c" ? one.cert : one.key);
  const parts = { files: { cert: "/c", key: "/k" }, read, clock, log, renewed: () => undefined };
  (await Renewal.start(parts)).stop();
  expect(lines[1]).toMatch(/^clients will refuse this certificate: it expired at 20/);
});

test("renewal - it does not begin with files that cannot be served", () => {
  const read = async () => "";
  const clock = createFakeClock();
  const log: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => log };
  const start = Renewal.start({ files: { cert: "/c", key: "/k" }, read, clock, log, renewed: () => undefined });
  expect(start).rejects.toMatchObject({ code: "TLS" });
  expect(clock.pending).toBe(0);
});
