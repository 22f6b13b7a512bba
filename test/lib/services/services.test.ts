/**
 * The real servers of tests: started, killed, brought back with their data, frozen, secured. Kafka, the slow one, is the same
 * code; it is killed and brought back in test/e2e/brokers.test.ts.
 */
import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import Redis from "ioredis";
import { selfSigned } from "../../venue/certificate.ts";
import { TEST_MS_MAX } from "../wait.ts";
import { startNats, startRedis } from "./mod.ts";

setDefaultTimeout(TEST_MS_MAX);
const { cert, key } = selfSigned("server");

test("services - Redis keeps its port and data through a kill, and is gone with its folder in the end", async () => {
  const server = await startRedis();
  const { port, folder, pid } = server;
  const client = new Redis(server.url);
  await client.set("a", "1");
  client.disconnect();
  await server.kill();
  expect(server.pid).toBe(0);
  await server.restart();
  expect(server.port).toBe(port);
  const again = new Redis(server.url);
  expect(await again.get("a")).toBe("1");
  again.disconnect();
  const last = server.pid;
  await server.stop();
  expect(existsSync(folder)).toBe(false);
  for (const gone of [pid, last]) expect(() => process.kill(gone, 0)).toThrow();
});

test("services - Redis with a password and TLS lets nobody in without them", async () => {
  await using server = await startRedis({ password: "p:w", tls: { cert, key } });
  const client = new Redis(server.url, { tls: { ca: cert, servername: "localhost" } });
  expect(await client.ping()).toBe("PONG");
  client.disconnect();
  const stranger = new Redis({ port: server.port, tls: { rejectUnauthorized: false } }).on("error", () => undefined);
  await expect(stranger.ping()).rejects.toThrow("NOAUTH");
  stranger.disconnect();
});

test("services - NATS keeps its streams through a kill; frozen it is silent, thawed it goes on", async () => {
  await using server = await startNats();
  const client = await connect({ servers: server.url, reconnect: false });
  await (await jetstreamManager(client)).streams.add({ name: "s", subjects: ["s.>"] });
  expect((await jetstream(client).publish("s.1", "x")).seq).toBe(1);
  await server.kill();
  await client.closed();
  await server.restart();
  const again = await connect({ servers: server.url });
  expect((await jetstream(again).publish("s.1", "x")).seq).toBe(2);
  server.freeze();
  await expect(jetstream(again, { timeout: 100 }).publish("s.1", "x")).rejects.toThrow();
  server.thaw();
  await again.flush();
  await again.close();
});

test("services - NATS with a user and TLS lets nobody in without them", async () => {
  await using server = await startNats({ user: "u", password: "p", tls: { cert, key }, jetstream: false });
  const tls = { ca: cert };
  const client = await connect({ servers: `localhost:${server.port}`, user: "u", pass: "p", tls });
  await client.close();
  await expect(connect({ servers: `localhost:${server.port}`, user: "u", pass: "?", tls })).rejects.toThrow();
});

test("services - one that cannot start says why, with the end of its log", async () => {
  await expect(startRedis({ settings: ["nonsense 1"] })).rejects.toThrow(
    /redis ended before it was ready:(.|\n)*nonsense/,
  );
});
