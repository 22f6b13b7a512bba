import { afterAll, beforeAll, expect, test } from "bun:test";
import { createServer, type Server } from "node:net";
import { type NatsServer, startNats } from "../../test/lib/services/mod.ts";
import { TempFolder } from "../../test/lib/temp-folder.ts";
import { TEST_MS_MAX, waitFor } from "../../test/lib/wait.ts";
import { selfSigned } from "../../test/venue/certificate.ts";
import { systemClock } from "./clock.ts";
import { GatewayError } from "./errors.ts";
import { silentLog } from "./log.ts";
import { type NatsLink, type NatsLinkOptions, openNats } from "./nats.ts";
import { parseNatsAddress } from "./nats-address.ts";

const open = (options: Partial<NatsLinkOptions>): NatsLink =>
  openNats({
    ...{ servers: [], name: "test", clock: systemClock(), random: () => 0, log: silentLog, retryMaxMs: 100 },
    ...options,
  });

/** What it says first: connected, or why not. */
async function outcome(options: Partial<NatsLinkOptions>): Promise<string> {
  const link = open(options);
  let said = "";
  await waitFor(() => {
    const state = link.state();
    if (state.name === "connected") said = "connected";
    if (state.name === "connecting" && state.code !== "") said = `${state.code}: ${state.error}`;
    return said !== "";
  }, "it is connected or says why not");
  await link.close();
  expect(link.state().name).toBe("closed");
  return said;
}

let server: NatsServer;
let closed: NatsServer;
beforeAll(async () => {
  server = await startNats({ jetstream: false, user: "us", password: "se:cr/et" });
  closed = await startNats({ jetstream: false, token: "t0ken" });
}, TEST_MS_MAX);
afterAll(() => Promise.all([server.stop(), closed.stop()]));

test("nats address - as people write them", () => {
  const plain = { tls: false, user: "", password: "" };
  expect(parseNatsAddress("nats://a.example:14222")).toEqual({ host: "a.example", port: 14_222, ...plain });
  expect(parseNatsAddress("127.0.0.1:80")).toEqual({ host: "127.0.0.1", port: 80, ...plain });
  expect(parseNatsAddress(" box ")).toEqual({ host: "box", port: 4222, ...plain });
  expect(parseNatsAddress("tls://[::1]:4443/")).toEqual({ host: "::1", port: 4443, tls: true, user: "", password: "" });
  expect(parseNatsAddress("nats://us:a%2Fb@box")).toMatchObject({ host: "box", user: "us", password: "a/b" });
  for (const bad of ["", "http://a", "nats://", "a:99999", "a/b", "nats://a b"]) {
    expect(() => parseNatsAddress(bad)).toThrow(GatewayError);
  }
  for (const bad of ["http://us:p@ss/word@box", "us:p@ss/word@bo x", "nats://p@ss/word@box:99999"]) {
    expect(() => parseNatsAddress(bad)).toThrow(/^"(\w+:\/\/)?\*\*\*@b[^@]*" is no NATS server/);
  }
});

test("nats link - wrong addresses are told by name, and tried again", async () => {
  expect(await outcome({ servers: ["127.0.0.1:1"] })).toBe(
    "NATS_UNREACHABLE: no NATS server listens at 127.0.0.1:1 (connection refused)",
  );
  expect(await outcome({ servers: ["no-such-host.invalid"] })).toContain("NATS_UNREACHABLE: ");
  expect(() => open({ servers: [] })).toThrow("no NATS server is named");
  const link = open({ servers: ["127.0.0.1:1"] });
  await waitFor(() => link.counters.failures > 2, "it tries again");
  const waiting = link.connected().catch((error: { code?: string }) => error.code);
  await link.close();
  expect(await waiting).toBe("NATS_CLOSED");
});

test("nats link - what is no NATS server, or says nothing, is told by name", async () => {
  const listen = (greet: string): Promise<Server> =>
    new Promise((resolve) => {
      const listening = createServer((socket) => {
        if (greet !== "") socket.end(greet);
        socket.on("error", () => undefined);
      }).listen(0, "127.0.0.1", () => resolve(listening));
    });
  const portOf = (one: Server): number => (one.address() as { port: number }).port;
  const [web, silent] = [await listen("HTTP/1.1 400 Bad Request\r\n\r\n"), await listen("")];
  try {
    expect(await outcome({ servers: [`127.0.0.1:${portOf(web)}`] })).toBe(
      `NATS_PROTOCOL: what answers at 127.0.0.1:${portOf(web)} is no NATS server`,
    );
    expect(await outcome({ servers: [`127.0.0.1:${portOf(silent)}`], timeoutMs: 100 })).toContain("within 100 ms");
  } finally {
    web.close();
    silent.close();
  }
});

test("nats link - credentials: refused by name, taken from settings or the address", async () => {
  const servers = [server.url];
  expect(await outcome({ servers })).toContain("NATS_AUTH: ");
  expect(await outcome({ servers, user: "us", password: "wrong" })).toContain("check user and password");
  expect(await outcome({ servers, user: "us", password: "se:cr/et" })).toBe("connected");
  expect(await outcome({ servers: [`nats://us:se%3Acr%2Fet@127.0.0.1:${server.port}`] })).toBe("connected");
  expect(await outcome({ servers: [closed.url], token: "wrong" })).toContain("NATS_AUTH: ");
  expect(await outcome({ servers: [closed.url], token: "t0ken" })).toBe("connected");
  expect(await outcome({ servers, credentials: "/no/such.creds" })).toContain("NATS_FILE: cannot read /no/such.creds");
  using folder = new TempFolder();
  const credentials = folder.write("us.creds", "nothing of use");
  expect(await outcome({ servers, credentials })).toContain("NATS_AUTH: ");
});

test("nats link - TLS: trusted by its authority, refused by name without; a server without TLS is not taken for one", async () => {
  const { key, cert } = selfSigned();
  using folder = new TempFolder();
  const tls = { ca: folder.write("ca.pem", cert) };
  await using secure = await startNats({ jetstream: false, tls: { key, cert } });
  const at = `localhost:${secure.port}`;
  expect(await outcome({ servers: [at], tls })).toBe("connected");
  expect(await outcome({ servers: [`tls://${at}`], tls })).toBe("connected");
  // Dialled elsewhere, it must still be the server that was named.
  const resolveAddress = (): string => `127.0.0.1:${secure.port}`;
  expect(await outcome({ servers: ["localhost:4222"], tls, resolveAddress })).toBe("connected");
  expect(await outcome({ servers: ["elsewhere.example:4222"], tls, resolveAddress })).toContain("NATS_TLS: ");
  expect(await outcome({ servers: [at] })).toContain("NATS_TLS: ");
  expect(await outcome({ servers: [closed.url], token: "t0ken", tls })).toContain("NATS_TLS: ");
});

test(
  "nats link - one connection at a time: each is told up and down, the next server is tried when one is gone",
  async () => {
    await using spare = await startNats({ jetstream: false });
    const link = open({ servers: [server.url, spare.url], user: "us", password: "se:cr/et" });
    const told: string[] = [];
    let got = 0;
    const watching = link.watch({
      up(connection) {
        told.push("up");
        connection.subscribe("greeting", { callback: () => void got++ });
      },
      down: () => told.push("down"),
    });
    expect(await link.connected()).toBe(link.connection!);
    const first = link.state();
    await server.kill();
    await waitFor(() => told.length >= 3, "there is a connection again");
    expect(told).toEqual(["up", "down", "up"]);
    expect(link.counters.reconnects).toBe(1);
    expect(link.state()).not.toEqual(first);
    (await link.connected()).publish("greeting", "hello");
    await waitFor(() => got === 1, "it serves");
    watching.close();
    await link.close();
    expect(told).toEqual(["up", "down", "up"]);
    expect(link.connection).toBeNull();
    await server.restart();
  },
  TEST_MS_MAX,
);
