/** TLS on the public listener: files, clients, and certificates that change while the node runs. */
import { expect, test } from "bun:test";
import { ChildNode, ONE_CHANNEL, startChildNode } from "../lib/child-node.ts";
import { NativeClient } from "../lib/native-client.ts";
import { brokenLinks } from "../lib/native-stream.ts";
import { peerNames } from "../lib/peer.ts";
import { TempFolder } from "../lib/temp-folder.ts";
import { TEST_MS_MAX, waitFor } from "../lib/wait.ts";
import { type Certificate, selfSigned } from "../venue/certificate.ts";

const NATIVE = "/ws/quote/v1";
const [one, two, three] = [selfSigned("one"), selfSigned("two"), selfSigned("three")];

class Files extends TempFolder {
  readonly cert: string;
  readonly key: string;

  constructor(pair: Partial<Certificate>) {
    super();
    this.cert = this.write("cert.pem", pair.cert ?? "");
    this.key = this.write("key.pem", pair.key ?? "");
  }

  set({ cert, key }: Partial<Certificate>): void {
    if (cert !== undefined) this.write("cert.pem", cert);
    if (key !== undefined) this.write("key.pem", key);
  }

  get flags(): string[] {
    return ["--tls-cert", this.cert, "--tls-key", this.key];
  }
}

/** Every new connection gets this certificate. */
const shows = (node: ChildNode, name: string): Promise<void> =>
  waitFor(async () => [...(await peerNames(node.port, 8))].join() === name, `the certificate is ${name}`);

test(
  "tls - wss and https with a certificate that is trusted, nothing without; the admin port stays plain",
  async () => {
    using files = new Files(one);
    await using node = await startChildNode([...ONE_CHANNEL, ...files.flags]);
    expect(node.http).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
    expect(node.admin).toStartWith("http://127.0.0.1:");
    const path = "/api/v3/time";
    const answer = await fetch(node.http + path, { tls: { ca: one.cert } });
    expect(await answer.json()).toEqual({ serverTime: expect.any(Number) });
    await expect(fetch(node.http + path, { tls: { ca: two.cert } })).rejects.toThrow();
    await expect(fetch(`http://127.0.0.1:${node.port}${path}`)).rejects.toThrow();
    const client = await NativeClient.connect(node.ws + NATIVE);
    await client.subscribe(["c0"]);
    await waitFor(() => client.stream("c0").pushes.length > 5, "a stream");
    expect(brokenLinks(client.stream("c0").pushes)).toEqual([]);
    expect(node.log.find(({ msg }) => msg === "serving with TLS")).toMatchObject({ subject: "CN=one" });
  },
  TEST_MS_MAX,
);

test(
  "tls - tail follows a node with --ca, and without says what is wrong",
  async () => {
    using files = new Files(one);
    await using node = await startChildNode([...ONE_CHANNEL, ...files.flags]);
    const ca = files.write("ca.pem", one.cert);
    const url = `wss://localhost:${node.port}`;
    const tail = new ChildNode(["tail", "--json", "-n", "2", "--url", url, "--ca", ca, "c0"]);
    expect(await tail.status()).toBe(0);
    expect(tail.text.trimEnd().split("\n")).toHaveLength(2);
    await using distrusting = new ChildNode(["tail", "--url", url, "c0"]);
    await waitFor(() => distrusting.errors.includes("\n"), "a word about it");
    expect(distrusting.errors).toContain("--ca");
    const wrong = new ChildNode(["tail", "--url", url, "--ca", `${ca}.not`, "c0"]);
    expect([await wrong.status(), wrong.errors]).toEqual([2, `tidegate: --ca: cannot read ${ca}.not\n`]);
  },
  TEST_MS_MAX,
);

test(
  "tls - changed files are served to new connections by themselves, and on SIGHUP at once; old ones miss nothing",
  async () => {
    using files = new Files(one);
    await using node = await startChildNode([...ONE_CHANNEL, ...files.flags, "--workers", "2"]);
    const clients: NativeClient[] = [];
    const join = async (): Promise<void> => {
      const client = await NativeClient.connect(node.ws + NATIVE);
      await client.subscribe(["c0"]);
      clients.push(client);
    };
    for (let at = 0; at < 6; at++) await join();
    files.set(two);
    await shows(node, "two");
    await node.logged("the certificate was renewed");
    for (let at = 0; at < 6; at++) await join();
    files.set(three);
    node.signal("SIGHUP");
    await shows(node, "three");
    for (let at = 0; at < 6; at++) await join();
    // One that stands still shows where everybody must come to.
    const target = Math.max(...clients.map((client) => client.stream("c0").have ?? 0)) + 1;
    for (const client of clients) {
      await client.reaches("c0", target);
      expect([client.closed, brokenLinks(client.stream("c0").pushes)]).toEqual([null, []]);
    }
    const metrics = await (await fetch(`${node.admin}/metrics`)).text();
    expect(metrics).toContain('tidegate_certificate_reloads_total{result="renewed"} 2');
    expect(metrics).toMatch(/^tidegate_certificate_expiry_timestamp_seconds \d{10}$/m);
  },
  TEST_MS_MAX,
);

test(
  "tls - broken new files are refused with a line in the log, and the old certificate stays",
  async () => {
    using files = new Files(one);
    await using node = await startChildNode([...ONE_CHANNEL, ...files.flags]);
    const client = await NativeClient.connect(node.ws + NATIVE);
    await client.subscribe(["c0"]);
    files.set({ cert: two.cert });
    const refused = await node.logged("the new certificate is refused, the old one stays: the key in ");
    expect(refused.msg).toEndWith(`${files.key} is not that of the first certificate in ${files.cert}`);
    files.set({ cert: "" });
    await node.logged(`the new certificate is refused, the old one stays: ${files.cert}`);
    await shows(node, "one");
    files.set(three);
    await shows(node, "three");
    const have = client.stream("c0").have ?? 0;
    await client.reaches("c0", have + 1);
    expect(brokenLinks(client.stream("c0").pushes)).toEqual([]);
  },
  TEST_MS_MAX,
);

test(
  "tls - files that cannot be served keep a node from starting, in one line",
  async () => {
    using swapped = new Files({ cert: one.key, key: one.cert });
    using mixed = new Files({ cert: one.cert, key: two.key });
    const serve = (files: Files) =>
      new ChildNode(["serve", "--port", "0", "--admin-port", "0", "--log-level", "silent", ...files.flags]);
    const says: [Files, string][] = [
      [swapped, `${swapped.cert} holds a private key and no certificate: are the two files swapped?`],
      [mixed, `the key in ${mixed.key} is not that of the first certificate in ${mixed.cert}`],
    ];
    for (const [files, sentence] of says) {
      const node = serve(files);
      expect([await node.status(), node.errors]).toEqual([2, `tidegate: ${sentence}\n`]);
    }
  },
  TEST_MS_MAX,
);

test(
  "tls - without a certificate SIGHUP ends nothing",
  async () => {
    await using node = await startChildNode(ONE_CHANNEL);
    node.signal("SIGHUP");
    await node.logged("nothing to reload");
    expect((await fetch(`${node.admin}/readyz`)).status).toBe(200);
  },
  TEST_MS_MAX,
);
