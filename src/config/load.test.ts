import { expect, test } from "bun:test";
import { DEFAULT_LIMITS } from "../edge/config.ts";
import { GatewayError } from "../lib/errors.ts";
import { loadStaticConfig, type World } from "./load.ts";
import { CONFIG_FLAG, envName, flagKey, SETTINGS } from "./settings.ts";

const world = (files: Record<string, string> = {}): World => ({
  cwd: "/here",
  hostname: "host one",
  cores: 4,
  openFilesMax: null,
  readFile(path) {
    const text = files[path];
    if (text === undefined) throw new Error(`ENOENT: no such file or directory, open '${path}'`);
    return text;
  },
  isFile: (path) => path in files,
});

const load = (
  flags: Record<string, unknown> = {},
  env: Record<string, string> = {},
  files: Record<string, string> = {},
) => loadStaticConfig(flags, env, world(files));

function refusal(flags: Record<string, unknown>, env: Record<string, string> = {}, files: Record<string, string> = {}) {
  try {
    load(flags, env, files);
  } catch (error) {
    expect(error).toBeInstanceOf(GatewayError);
    const { message } = error as GatewayError;
    expect(message).not.toContain("\n");
    return message;
  }
  throw new Error("nothing was refused");
}

test("config - without anything the defaults are complete", () => {
  expect(load().config).toEqual({
    nodeId: "host-one",
    roles: ["ingest", "edge", "admin"],
    host: "127.0.0.1",
    port: 8080,
    admin: { host: "127.0.0.1", port: 9090 },
    sharePort: false,
    drainSeconds: 10,
    workers: 3,
    ringBytes: 64 * 1024 * 1024,
    source: { kind: "sim", rate: 1000, seed: 1 },
    log: { level: "info", format: "auto" },
    watchdogMs: 3000,
    defaultMarket: "spot",
    cluster: "tidegate",
    bus: {
      kind: "memory",
      servers: ["nats://127.0.0.1:4222"],
      lingerMs: 1,
      batch: 100,
      stream: { maxAgeSeconds: 600, maxBytes: 1024 ** 3, storage: "file", replicas: 1 },
    },
    checkpoints: { kind: "memory" },
    peers: [],
    addresses: [],
    limits: DEFAULT_LIMITS,
    topics: [],
  });
});

test("config - on one core there is still one worker", () => {
  expect(loadStaticConfig({}, {}, { ...world(), cores: 1 }).config.workers).toBe(1);
});

test("config - flags win over variables, variables over the file, the file over defaults", () => {
  const files = {
    "/here/c.json": JSON.stringify({ port: 1, host: "0.0.0.0", admin: { port: 2 }, log: { level: "warn" } }),
  };
  const { config } = load(
    { port: "3" },
    { TIDEGATE_CONFIG: "c.json", TIDEGATE_PORT: "4", TIDEGATE_ADMIN_PORT: "5" },
    files,
  );
  expect(config).toMatchObject({
    port: 3,
    host: "0.0.0.0",
    admin: { host: "127.0.0.1", port: 5 },
    log: { level: "warn", format: "auto" },
  });
});

test("config - every setting can be given as a flag, as a variable and in the file, with the same result", () => {
  const values: Record<string, [text: string, file: unknown]> = {
    host: ["0.0.0.0", "0.0.0.0"],
    port: ["8100", 8100],
    "admin-host": ["::1", "::1"],
    "admin-port": ["9100", 9100],
    "tls-cert": ["/feed", "/feed"],
    "tls-key": ["/feed", "/feed"],
    "share-port": ["true", true],
    "drain-seconds": ["3", 3],
    replay: ["/feed", "/feed"],
    speed: ["2.5", 2.5],
    loop: ["true", true],
    upstream: ["kraken:BTC/USD,ETH/USD", "kraken:BTC/USD,ETH/USD"],
    "upstream-url": ["ws://127.0.0.1:1", "ws://127.0.0.1:1"],
    "upstream-rest": ["http://127.0.0.1:1", "http://127.0.0.1:1"],
    "upstream-ca": ["/feed", "/feed"],
    synthetic: ["channels=3,rate=7,size=300,spread", "channels=3,rate=7,size=300,spread"],
    "sim-rate": ["50", 50],
    seed: ["9", 9],
    workers: ["2", 2],
    "ring-bytes": ["1MiB", 1024 * 1024],
    "node-id": ["n1", "n1"],
    roles: ["ingest,edge", ["ingest", "edge"]],
    "config-store": ["file:/feed", "/feed"],
    cluster: ["eu-1", "eu-1"],
    bus: ["nats", "nats"],
    "bus-servers": ["nats://a:4222,b", ["nats://a:4222", "b"]],
    "bus-user": ["us", "us"],
    "bus-password": ["secret", "secret"],
    "bus-token": ["t", "t"],
    "bus-credentials": ["/feed", "/feed"],
    "bus-tls-ca": ["/feed", "/feed"],
    "bus-tls-cert": ["/feed", "/feed"],
    "bus-tls-key": ["/feed", "/feed"],
    "bus-linger-ms": ["20", 20],
    "bus-batch": ["9", 9],
    checkpoints: ["redis://a:1/2", "redis://a:1/2"],
    peers: ["a,b", ["a", "b"]],
    addresses: ["kafka:9092=127.0.0.1:19092", ["kafka:9092=127.0.0.1:19092"]],
    "default-market": ["usdm", "usdm"],
    "watchdog-ms": ["900", 900],
    "log-level": ["debug", "debug"],
    "log-format": ["json", "json"],
    "sessions-max": ["5", 5],
    "sessions-per-ip-max": ["5", 5],
    "connects-per-second": ["0.5", 0.5],
    "connects-burst": ["7", 7],
    allow: ["10.0.0.0/8, ::1", ["10.0.0.0/8", "::1"]],
    deny: ["10.0.0.1", ["10.0.0.1"]],
    origins: ["https://a.b,https://*.c.d", ["https://a.b", "https://*.c.d"]],
    "trusted-proxies": ["127.0.0.1", ["127.0.0.1"]],
    "frame-bytes-max": ["1KiB", 1024],
    "commands-per-second": ["9", 9],
    "subscriptions-max": ["9", 9],
    "ping-after-ms": ["900", 900],
    "idle-ms-max": ["90000", 90_000],
    "session-ms-max": ["0", 0],
    "outbound-frames": ["5", 5],
    "outbound-bytes": ["1MiB", 1024 * 1024],
    "outbox-bytes-max": ["8MiB", 8 * 1024 * 1024],
    "outbox-bytes-node-max": ["1GiB", 1024 ** 3],
    "outbox-age-ms-max": ["9000", 9000],
  };
  const others: Record<string, Record<string, string>> = {
    "tls-cert": { "tls-key": "/feed" },
    "tls-key": { "tls-cert": "/feed" },
    "bus-password": { "bus-user": "us" },
    "bus-tls-cert": { "bus-tls-key": "/feed" },
    "bus-tls-key": { "bus-tls-cert": "/feed" },
  };
  const pairs: Record<string, object> = {
    "tls-cert": { key: "/feed" },
    "tls-key": { cert: "/feed" },
    "bus-password": { user: "us" },
    "bus-tls-cert": { tls: { cert: "/feed", key: "/feed" } },
    "bus-tls-key": { tls: { cert: "/feed", key: "/feed" } },
  };
  const defaults = load().config;
  for (const setting of SETTINGS) {
    const [text, value] = values[setting.flag] ?? [];
    if (text === undefined) throw new Error(`the test knows no value for --${setting.flag}`);
    // What belongs to one kind of source is given together with what chooses it.
    const replay = ["speed", "loop"].includes(setting.flag) ? { replay: "/feed" } : {};
    const upstream = setting.flag.startsWith("upstream-") ? { upstream: "okx:BTC-USDT" } : {};
    const other = others[setting.flag] ?? {};
    const choice = { ...replay, ...upstream };
    const kinds: Record<string, string> = { replay: "replay", speed: "replay", loop: "replay", synthetic: "synthetic" };
    const kind = setting.flag.startsWith("upstream") ? "websocket" : kinds[setting.flag];
    const path = "replay" in choice ? { path: "/feed" } : {};
    const fields = { ...(kind === undefined ? {} : { kind }), ...path, ...upstream };
    const [outer = "", inner] = setting.path;
    const source = outer === "source" ? { kind: "sim", ...fields } : {};
    const inside = setting.path.slice(1).reduceRight<unknown>((of, field) => ({ [field]: of }), value);
    const content = {
      [outer]: inner === undefined ? value : { ...source, ...(inside as object), ...pairs[setting.flag] },
    };
    const files = { "/feed": "", "/here/c.json": JSON.stringify(content) };
    const flags: Record<string, string> = { [flagKey(setting.flag)]: text, ...choice };
    for (const [flag, given] of Object.entries(other)) flags[flagKey(flag)] = given;
    const chosen = Object.entries({ ...choice, ...other }).map(([flag, value]) => [envName(flag), value]);
    const env = { [envName(setting.flag)]: text, ...Object.fromEntries(chosen) };
    const byFlag = load(flags, {}, files).config;
    expect(byFlag).not.toEqual(defaults);
    expect(load({}, env, files).config).toEqual(byFlag);
    expect(load({ [CONFIG_FLAG.flag]: "c.json" }, {}, files).config).toEqual(byFlag);
  }
});

test("config - a fault is one line that names the flag, variable or field and says what it wants", () => {
  expect(refusal({ port: "abc" })).toBe('--port: "abc" is wrong, want a whole number from 0 to 65535');
  expect(refusal({ port: "70000" })).toBe("--port: 70000 is wrong, want a whole number from 0 to 65535");
  expect(refusal({}, { TIDEGATE_WORKERS: "0" })).toBe(
    "TIDEGATE_WORKERS: 0 is wrong, want a whole number from 1 to 256",
  );
  expect(refusal({ ringBytes: "100000" })).toBe(
    "--ring-bytes: 100000 is wrong, want a power of two, for example 64MiB",
  );
  expect(refusal({ roles: "ingest,egde" })).toBe('--roles: "egde" is wrong, want one of ingest, edge, admin');
  expect(refusal({ speed: "fast", replay: "f" }, {}, { "/here/f": "" })).toBe(
    '--speed: "fast" is wrong, want a number above 0, or "max"',
  );
  expect(refusal({ synthetic: "foo" })).toBe(
    '--synthetic: unknown field "foo": use channels=N, rate=N, size=N, spread',
  );
  expect(refusal({ synthetic: "rate=0" })).toBe('--synthetic: "rate" must be a number above 0 and up to 100000');
  expect(refusal({}, { TIDEGATE_PORT: "tcp://10.0.0.1:80" })).toContain("enableServiceLinks");
});

test("config - an upstream's faults", () => {
  expect(refusal({ upstream: "kraken" })).toBe(
    '--upstream: "kraken" is wrong, want a venue and its symbols, for example kraken:BTC/USD,ETH/USD',
  );
  expect(refusal({ upstream: "kraken:BTC/USD", upstreamUrl: "http://h" })).toBe(
    '--upstream-url: "http://h" is wrong, want an address like wss://host:port',
  );
  expect(refusal({ upstream: "kraken:BTC/USD", upstreamCa: "absent" })).toBe(
    "--upstream-ca: /here/absent is no file that exists",
  );
});

test("config - faults of the file name the file and the field", () => {
  const of = (content: unknown) => refusal({ config: "c.json" }, {}, { "/here/c.json": JSON.stringify(content) });
  expect(of({ prot: 1 })).toBe('c.json: prot: no such field, did you mean "port"?');
  expect(of({ admin: { prt: 1 } })).toBe('c.json: admin.prt: no such field, did you mean "port"?');
  expect(of({ zzz: 1 })).toBe("c.json: zzz: no such field: remove it");
  expect(of({ admin: { port: "x" } })).toBe('c.json: admin.port: "x" is wrong, want a whole number from 0 to 65535');
  expect(of({ source: { kind: "simm" } })).toContain('c.json: source.kind: "simm" is wrong');
  expect(of({ source: { kind: "replay" } })).toContain("is missing, want the path of a recorded feed");
  expect(of([])).toBe("--config c.json: want one JSON object with settings");
  const ofText = (text: string) => refusal({ config: "c.json" }, {}, { "/here/c.json": text });
  expect(ofText("{")).toBe('--config c.json: not JSON, line 1, column 2: want a name in "" here');
  expect(ofText('{\n  "port": 1, // mine\n}')).toBe(
    "--config c.json: not JSON, line 2, column 14: comments are not allowed in JSON: leave this one out",
  );
  expect(ofText('\uFEFF{"prot":1}')).toBe('c.json: prot: no such field, did you mean "port"?');
  expect(refusal({ config: "no.json" })).toStartWith("--config no.json: cannot read it");
});

test("config - a wrong value of the file is refused under its name even when a flag sets a field inside it", () => {
  const files = { "/here/c.json": '{"admin":5}' };
  expect(refusal({ config: "c.json", adminPort: "1" }, {}, files)).toStartWith("c.json: admin: 5 is wrong");
});

test("config - the highest layer that chooses a source decides, and lower settings of another kind are overruled", () => {
  const files = { "/here/f": "", "/here/c.json": '{"source":{"kind":"sim","rate":5,"seed":7}}' };
  const replay = { kind: "replay", path: "/here/f", speed: 1, loop: false };
  expect(load({ replay: "f" }, { TIDEGATE_SIM_RATE: "9" }, files).config.source).toEqual(replay as never);
  expect(load({ replay: "f", config: "c.json" }, {}, files).config.source).toEqual(replay as never);
  expect(load({ replay: "f" }, { TIDEGATE_SPEED: "max" }, files).config.source).toEqual({
    ...replay,
    speed: Number.POSITIVE_INFINITY,
  } as never);
  expect(load({ seed: "8" }, { TIDEGATE_REPLAY: "f" }, files).config.source).toEqual({
    kind: "sim",
    rate: 1000,
    seed: 8,
  });
  expect(load({ seed: "8", config: "c.json" }, {}, files).config.source).toEqual({ kind: "sim", rate: 5, seed: 8 });
});

test("config - settings that choose different sources, or belong to none chosen, are refused", () => {
  const files = { "/here/f": "" };
  expect(refusal({ replay: "f", synthetic: "rate=1" }, {}, files)).toBe(
    "--synthetic and --replay choose different sources: leave one out",
  );
  expect(refusal({ replay: "f", simRate: "1" }, {}, files)).toBe(
    "--sim-rate and --replay choose different sources: leave one out",
  );
  expect(refusal({ speed: "2" })).toBe("--speed needs --replay FILE");
  expect(refusal({ upstreamUrl: "ws://h" })).toBe("--upstream-url needs --upstream VENUE:SYMBOLS");
  expect(refusal({ upstream: "kraken:BTC/USD", replay: "f" }, {}, files)).toBe(
    "--upstream and --replay choose different sources: leave one out",
  );
  expect(refusal({ loop: true, seed: "1" })).toBe("--loop needs --replay FILE");
  expect(refusal({}, { TIDEGATE_LOOP: "1" })).toBe("TIDEGATE_LOOP needs --replay FILE");
});

test("config - a replay's path counts from where the user stands, or from the config file", () => {
  const files = { "/here/f": "", "/etc/g": "", "/etc/c.json": '{"source":{"kind":"replay","path":"g"}}' };
  expect(load({ replay: "f" }, {}, files).config.source).toMatchObject({ path: "/here/f" });
  expect(load({ config: "/etc/c.json" }, {}, files).config.source).toMatchObject({ path: "/etc/g" });
  expect(refusal({ replay: "nope" }, {}, files)).toBe("--replay: /here/nope is no file that exists");
});

test("config - TLS wants both files, which count from where the user stands or from the config file", () => {
  const tls = { cert: "cert.pem", key: "keys/key.pem" };
  const files = { "/here/cert.pem": "", "/etc/tg/cert.pem": "", "/etc/tg/keys/key.pem": "", "/here/keys/key.pem": "" };
  expect(load({ tlsCert: "cert.pem", tlsKey: "keys/key.pem" }, {}, files).config.tls).toEqual({
    cert: "/here/cert.pem",
    key: "/here/keys/key.pem",
  });
  const both = { ...files, "/etc/tg/c.json": JSON.stringify({ tls }) };
  expect(load({ config: "/etc/tg/c.json", tlsCert: "cert.pem" }, {}, both).config.tls).toEqual({
    cert: "/here/cert.pem",
    key: "/etc/tg/keys/key.pem",
  });
  expect(refusal({ tlsCert: "cert.pem" }, {}, files)).toBe("--tls-key: is missing, want the path of a PEM file");
  expect(refusal({}, { TIDEGATE_TLS_KEY: "keys/key.pem" }, files)).toBe(
    "--tls-cert: is missing, want the path of a PEM file",
  );
  expect(refusal({ tlsCert: "cert.pem", tlsKey: "nope" }, {}, files)).toBe(
    "--tls-key: /here/nope is no file that exists",
  );
});

test("config - a configuration with routes and a source of its own exclude each other", () => {
  const files = {
    "/here/d.json": "{}",
    "/here/c.json": JSON.stringify({ configStore: "d.json", source: { kind: "sim" } }),
  };
  expect(load({ configStore: "file:d.json" }, {}, files).config.configStore).toEqual({
    kind: "file",
    path: "/here/d.json",
  });
  expect(refusal({ configStore: "d.json", simRate: "5" }, {}, files)).toBe(
    "--config-store and --sim-rate choose different sources: leave one out",
  );
  expect(refusal({ config: "c.json" }, {}, files)).toBe(
    "c.json: configStore and c.json: source choose different sources: leave one out",
  );
  expect(refusal({ configStore: "redis://h" }, {}, files)).toStartWith(
    '--config-store: "redis://h" is wrong, want file:PATH',
  );
  expect(refusal({ configStore: "absent.json" })).toBe("--config-store: /here/absent.json is no file that exists");
  expect(refusal({ peers: "a,a" })).toContain("want each name once");
});

test("config - one port for both addresses is refused, port 0 twice is not", () => {
  expect(refusal({ port: "9090" })).toBe("--port: public and admin port are both 9090, give one of them another");
  expect(load({ port: "0", adminPort: "0" }).config.admin.port).toBe(0);
});

test("config - an unknown variable is a warning, those Kubernetes makes up are not", () => {
  const env = {
    TIDEGATE_PROT: "1",
    TIDEGATE_SERVICE_HOST: "x",
    TIDEGATE_PORT_8080_TCP: "y",
    TIDEGATE_URL: "z",
    HOME: "/",
  };
  expect(load({}, env).warnings).toEqual(["TIDEGATE_PROT is not a setting, did you mean TIDEGATE_PORT?"]);
});

test("config - checkpoints: text or object, several servers, and what is wrong with it", () => {
  const of = (text: string) => load({ checkpoints: text }).config.checkpoints;
  expect(of("memory")).toEqual({ kind: "memory" });
  expect(of("redis://a:1, redis://b")).toEqual({ kind: "redis", servers: ["redis://a:1", "redis://b"] });
  expect(of("nats://a:1")).toEqual({ kind: "jetstream", servers: ["nats://a:1"] });
  expect(refusal({ checkpoints: "disk" })).toBe(
    '--checkpoints: "disk" is wrong, want memory, redis://host:6379[/db] or nats://host:4222',
  );
  expect(refusal({ checkpoints: "redis://:p@" })).toBe(
    '--checkpoints: "redis://:***@" is no address of a Redis server, want redis://host:6379',
  );
  const file = (checkpoints: object) =>
    load({ config: "c.json" }, {}, { "/here/c.json": JSON.stringify({ checkpoints }), "/here/ca.pem": "" });
  const redis = { kind: "redis" as const, servers: ["redis://a"] };
  expect(file({ ...redis, tls: { ca: "ca.pem" } }).config.checkpoints).toEqual({
    ...redis,
    tls: { ca: "/here/ca.pem" },
  });
  expect(() => file({ ...redis, cluster: true, db: 3 })).toThrow(
    "c.json: checkpoints: a Redis Cluster has only database 0",
  );
  expect(() => file({ ...redis, db: "x" })).toThrow(
    'c.json: checkpoints.db: "x" is wrong, want the number of a database',
  );
  expect(() => file({ ...redis, user: "x" })).toThrow("c.json: checkpoints.user: no such field");
  expect(() => file({ kind: "disk" })).toThrow("want memory, redis://host:6379[/db] or nats://host:4222");
});
