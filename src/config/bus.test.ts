import { expect, test } from "bun:test";
import { GatewayError } from "../lib/errors.ts";
import { loadStaticConfig, type World } from "./load.ts";

const world: World = {
  cwd: "/here",
  hostname: "box",
  cores: 2,
  openFilesMax: null,
  readFile: () => JSON.stringify({ bus: { kind: "nats", credentials: "us.creds", tls: { ca: "ca.pem" } } }),
  isFile: () => true,
};
const load = (flags: Record<string, unknown>, env: Record<string, string> = {}) =>
  loadStaticConfig(flags, env, world).config;
const refusal = (flags: Record<string, unknown>, env: Record<string, string> = {}): string => {
  try {
    load(flags, env);
  } catch (error) {
    return error instanceof GatewayError ? error.message : String(error);
  }
  return "accepted";
};

test("bus settings - without any: one node, joined in memory", () => {
  const { bus, cluster } = load({});
  expect(cluster).toBe("tidegate");
  expect(bus.kind).toBe("memory");
  expect(bus.servers).toEqual(["nats://127.0.0.1:4222"]);
  expect([bus.lingerMs, bus.batch]).toEqual([1, 100]);
});

test("bus settings - flags and variables", () => {
  const flags = {
    bus: "nats",
    busServers: "nats://a:4222, tls://b",
    busUser: "tide",
    cluster: "eu-1",
    busLingerMs: "20",
  };
  const { bus, cluster } = load(flags, { TIDEGATE_BUS_PASSWORD: "secret", TIDEGATE_BUS_BATCH: "7" });
  expect(cluster).toBe("eu-1");
  expect(bus).toMatchObject({ kind: "nats", servers: ["nats://a:4222", "tls://b"], user: "tide", password: "secret" });
  expect([bus.lingerMs, bus.batch]).toEqual([20, 7]);
});

test("bus settings - paths: a flag's from here, a file's from the file", () => {
  const { bus } = load({ config: "/etc/tidegate/node.json", busTlsCert: "c.pem", busTlsKey: "k.pem" });
  expect(bus.credentials).toBe("/etc/tidegate/us.creds");
  expect(bus.tls).toEqual({ ca: "/etc/tidegate/ca.pem", cert: "/here/c.pem", key: "/here/k.pem" });
});

test("bus settings - what is wrong is named by its flag", () => {
  expect(refusal({ bus: "kafka" })).toBe('--bus: "kafka" is wrong, want one of memory, nats, jetstream');
  expect(refusal({ busServers: "http://a" })).toContain("--bus-servers");
  expect(refusal({ busServers: "http://a" })).toContain("nats://127.0.0.1:4222");
  expect(refusal({ cluster: "a.b" })).toContain("--cluster");
  expect(refusal({ busLingerMs: "101" })).toBe("--bus-linger-ms: 101 is wrong, want a whole number from 0 to 100 ms");
  expect(refusal({ busPassword: "x" })).toBe("--bus-password: needs a user too, give --bus-user");
  expect(refusal({ busUser: "x", busToken: "y" })).toContain("not two of them");
  expect(refusal({ busTlsKey: "k.pem" })).toBe("--bus-tls-key: a certificate needs its key, and a key its certificate");
});
