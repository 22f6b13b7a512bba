/** Source redis-stream over TLS with a password, and what is said when either is wrong. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/lib/clock.ts";
import { connectRedis } from "../../src/lib/redis.ts";
import { readRedisSettings } from "../../src/lib/redis-address.ts";
import { type RedisServer, startRedis } from "../lib/services/mod.ts";
import { TEST_MS_MAX, waitFor } from "../lib/wait.ts";
import { selfSigned } from "../venue/certificate.ts";
import { keysRig } from "./redis-rig.ts";

let server: RedisServer;
let folder: string;
let ca: string;

beforeAll(async () => {
  const { cert, key } = selfSigned();
  folder = mkdtempSync(join(tmpdir(), "tidegate-redis-tls-"));
  ca = join(folder, "ca.pem");
  writeFileSync(ca, cert);
  server = await startRedis({ password: "p:w/é", tls: { cert, key } });
}, TEST_MS_MAX);

afterAll(async () => {
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

test(
  "redis-stream - TLS with an authority of our own and a password in the address",
  async () => {
    const target = readRedisSettings({ servers: [server.url], tls: { ca } });
    const connection = await connectRedis({ target, name: "test", clock: systemClock() });
    await connection.call("XADD", ["secret", "*", "data", "1"]);
    connection.close();
    await using rig = keysRig(server.url, ["secret"], { tls: { ca } });
    const run = await rig.run("secret");
    await run.reached(1);
    expect(run.said()).toEqual(["1"]);
  },
  TEST_MS_MAX,
);

test(
  "redis-stream - an authority nobody knows, another name, a file that is not there, no TLS: each is told",
  async () => {
    const plain = `redis://:x@127.0.0.1:${server.port}`;
    const cases = [
      [server.url, {}, /no TLS with .*certificate/i],
      [server.url, { tls: { ca, server_name: "elsewhere.example" } }, /no TLS with .*(name|altname|host)/i],
      [server.url, { tls: { ca: join(folder, "absent.pem") } }, /cannot read .*absent\.pem/],
      [plain, {}, /closed the connection|does not speak like Redis/],
    ] as const;
    await Promise.all(
      cases.map(async ([url, properties, sentence]) => {
        await using rig = keysRig(url, ["secret"], properties);
        const run = await rig.run("secret");
        const said = (): string => JSON.stringify(run.source.status().state);
        await waitFor(
          () => sentence.test(said()),
          () => `${sentence}, it says ${said()}`,
        );
        await waitFor(() => rig.broker.status().state.name === "connecting", "the broker is not connected");
        expect(JSON.stringify(rig.broker.status())).not.toContain("p:w");
      }),
    );
  },
  TEST_MS_MAX,
);
