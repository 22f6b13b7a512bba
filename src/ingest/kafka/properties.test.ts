import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GatewayError } from "../../lib/errors.ts";
import { RecordingLog } from "../testing/rig.ts";
import { parseJaas } from "./jaas.ts";
import { settingsOf } from "./properties.ts";
import { KAFKA_PROPERTIES } from "./property-table.ts";

const SERVER = { "bootstrap.servers": "kafka:9092" };

function settings(properties: Readonly<Record<string, unknown>>, log = new RecordingLog()) {
  return settingsOf({ name: "k", properties, log });
}

function refusal(properties: Readonly<Record<string, unknown>>): string {
  try {
    settings(properties);
  } catch (error) {
    if (error instanceof GatewayError && error.code === "BROKER_PROPERTIES") return error.message;
    throw error;
  }
  return "";
}

test("kafka properties - the original sample", () => {
  const made = settings({
    "bootstrap.servers": "kafka:9092",
    "group.id": "websocket_gateway_group",
    "auto.offset.reset": "earliest",
  });
  expect(made).toMatchObject({
    servers: ["kafka:9092"],
    groupId: "websocket_gateway_group",
    reset: "earliest",
    committedOnly: false,
    tls: null,
    sasl: null,
    deadLetterTopic: null,
  });
});

test("kafka properties - addresses as clients write them", () => {
  const servers = (value: unknown) => settings({ "bootstrap.servers": value }).servers;
  expect(servers("a:1, b,PLAINTEXT://c:3")).toEqual(["a:1", "b:9092", "c:3"]);
  expect(servers(["[::1]:9093", "10.0.0.1"])).toEqual(["[::1]:9093", "10.0.0.1:9092"]);
  expect(settings({ "metadata.broker.list": "a:1" }).servers).toEqual(["a:1"]);
  for (const wrong of ["a:0", "a:70000", "a b:1", ":1", "a:1:2"]) {
    expect(refusal({ "bootstrap.servers": wrong })).toContain(`holds "${wrong}", which is no address`);
  }
  for (const none of [undefined, [], ""]) expect(refusal({ "bootstrap.servers": none })).toContain("bootstrap.servers");
});

test("kafka properties - numbers as text, in Kafka's units; a wait is never longer than the timeout", () => {
  const made = settings({
    ...SERVER,
    "fetch.max.wait.ms": "9000",
    "request.timeout.ms": 3000,
    "max.partition.fetch.bytes": "1048576",
    "auto.offset.reset": "LATEST",
    "isolation.level": "read_committed",
  });
  expect(made).toMatchObject({ fetchMaxWaitMs: 9000, requestTimeoutMs: 10_000, partitionMaxBytes: 1 << 20 });
  expect(made).toMatchObject({ reset: "latest", committedOnly: true });
  expect(refusal({ ...SERVER, "fetch.max.wait.ms": "soon" })).toContain('"fetch.max.wait.ms" must be a number');
  expect(refusal({ ...SERVER, "fetch.min.bytes": 1.5 })).toContain('"fetch.min.bytes" must be a whole number');
  expect(refusal({ ...SERVER, "auto.offset.reset": "beginning" })).toContain("must be one of earliest, latest, none");
  expect(refusal({ ...SERVER, "dead.letter.topic": "no such/name" })).toContain('"dead.letter.topic"');
});

test("kafka properties - what we do not know is told with the nearest that we do, and has no effect", () => {
  const log = new RecordingLog();
  settings({ ...SERVER, "group.ids": "x", "zz.zz": 1 }, log);
  expect(log.lines.map(({ fields }) => fields)).toEqual([
    { source: "k", property: "group.ids", meant: "group.id" },
    { source: "k", property: "zz.zz" },
  ]);
});

test("kafka properties - the page says of each what the table does", () => {
  const page = readFileSync(join(import.meta.dir, "../../../docs/sources/kafka.md"), "utf8");
  for (const { name, type, default: fallback, what } of KAFKA_PROPERTIES) {
    expect(page).toContain(`| \`${name}\` | ${type} | ${fallback === "" ? "" : `\`${fallback}\``} | ${what} |`);
  }
});

test("kafka properties - logins", () => {
  const sasl = { ...SERVER, "security.protocol": "sasl_plaintext" };
  expect(settings({ ...sasl, "sasl.username": "u", "sasl.password": "p" }).sasl).toEqual({
    mechanism: "PLAIN",
    username: "u",
    password: "p",
  });
  const scram = 'org.apache.kafka.common.security.scram.ScramLoginModule required username="u" password="a\\"b;";';
  expect(settings({ ...sasl, "sasl.mechanisms": "SCRAM-SHA-512", "sasl.jaas.config": scram }).sasl).toEqual({
    mechanism: "SCRAM-SHA-512",
    username: "u",
    password: 'a"b;',
  });
  expect(refusal({ ...sasl, "sasl.jaas.config": scram })).toContain("has the module ScramLoginModule");
  expect(refusal({ ...sasl, "sasl.jaas.config": "what" })).toContain('must read <module> required username="..."');
  expect(refusal({ ...sasl, "sasl.password": "p" })).toContain('"sasl.username" is missing');
  expect(refusal({ ...sasl, "sasl.username": "u" })).toContain('"sasl.password" is missing');
  expect(refusal({ ...sasl, "sasl.mechanism": "GSSAPI" })).toContain(
    "must be one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512",
  );
  // Without a protocol that asks for them they are left alone.
  expect(settings({ ...SERVER, "sasl.username": "u" }).sasl).toBeNull();
});

test("kafka properties - jaas in its usual forms", () => {
  expect(parseJaas("a.b.PlainLoginModule required\n  username='u'\n  password=p;\n")).toEqual({
    module: "PlainLoginModule",
    options: { username: "u", password: "p" },
  });
  for (const wrong of ["", "PlainLoginModule;", 'X required username="u"']) expect(parseJaas(wrong)).toBeNull();
});

test("kafka properties - certificates are PEM files", () => {
  const folder = mkdtempSync(join(tmpdir(), "tidegate-kafka-"));
  try {
    const [ca, store] = [join(folder, "ca.pem"), join(folder, "trust.jks")];
    writeFileSync(ca, "-----BEGIN CERTIFICATE-----\n");
    writeFileSync(store, "\xfe\xed\xfe\xed");
    const ssl = { ...SERVER, "security.protocol": "SSL" };
    expect(settings({ ...ssl, "ssl.truststore.location": ca }).tls).toMatchObject({ ca: expect.any(String) });
    expect(settings(ssl).tls).toEqual({});
    expect(settings({ ...ssl, "ssl.endpoint.identification.algorithm": "" }).tls).toHaveProperty("checkServerIdentity");
    expect(refusal({ ...ssl, "ssl.ca.location": store })).toContain("which is no PEM file");
    expect(refusal({ ...ssl, "ssl.ca.location": join(folder, "none") })).toContain("names a file that cannot be read");
    expect(refusal({ ...ssl, "ssl.certificate.location": ca })).toContain("are set together");
  } finally {
    rmSync(folder, { recursive: true });
  }
});
