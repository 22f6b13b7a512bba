import { afterEach, expect, test } from "bun:test";
import { systemClock } from "../../lib/clock.ts";
import { GatewayError } from "../../lib/errors.ts";
import type { Broker, BrokerProperty, BrokerTools } from "../broker.ts";
import { createJetstreamBroker, JETSTREAM_PROPERTIES } from "../jetstream/mod.ts";
import { RecordingLog } from "../testing/rig.ts";
import { createNatsBroker, NATS_PROPERTIES } from "./mod.ts";

const open: Broker[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((broker) => broker.close()));
});

type Create = (tools: BrokerTools) => Broker;
type Properties = Readonly<Record<string, unknown>>;
const EACH: readonly [string, Create, readonly BrokerProperty[]][] = [
  ["nats", createNatsBroker, NATS_PROPERTIES],
  ["jetstream", createJetstreamBroker, JETSTREAM_PROPERTIES],
];

function make(create: Create, properties: Properties, log = new RecordingLog()): Broker {
  const broker = create({
    name: "d",
    properties: { servers: ["nats://127.0.0.1:1"], ...properties },
    clock: systemClock(),
    random: Math.random,
    log,
    resolveAddress: (same) => same,
  });
  open.push(broker);
  return broker;
}

function refusal(create: Create, properties: Properties): string {
  try {
    make(create, properties);
  } catch (error) {
    if (error instanceof GatewayError && error.code === "BROKER_PROPERTIES") return error.message;
    throw error;
  }
  return "none";
}

const BAD: readonly [Properties, string][] = [
  [{ servers: [] }, 'property "servers"'],
  [{ servers: "http://x" }, 'property "servers" cannot be used'],
  [{ servers: [5] }, 'property "servers" must be a list of texts'],
  [{ reconnect_time_wait: "soon" }, 'property "reconnect_time_wait" must be a number from 0 to 3600'],
  [{ max_reconnect_attempts: -2 }, 'property "max_reconnect_attempts" must be a number from -1'],
  [{ password: { a: 1 } }, 'property "password" must be text'],
  [{ tls: "yes" }, 'property "tls" must be true or an object'],
  [{ tls: { caFile: "x" } }, 'property "tls.caFile" is not known: ca_file, cert_file and key_file are'],
  [{ tls: { cert_file: "x" } }, "needs both or none"],
  [{ dead_letter_subject: "a.*" }, 'property "dead_letter_subject" must be a subject without wildcards'],
  [{ dead_letter_subject: "tg.main.x" }, 'property "dead_letter_subject"'],
];

for (const [name, create, table] of EACH) {
  test(`${name} broker - wrong properties are refused by name, secrets are not shown`, () => {
    for (const [properties, reason] of BAD) {
      expect(refusal(create, properties)).toStartWith("data source d: ");
      expect(refusal(create, properties)).toContain(reason);
    }
    expect(refusal(create, { password: ["s3cret"] })).not.toContain("s3cret");
  });

  test(`${name} broker - the original design's sample is understood; a name nobody knows is told with the nearest`, () => {
    const log = new RecordingLog();
    make(create, { servers: ["nats://nats:4222"], max_reconnect_attempts: 10, reconnect_time_wait: 2 }, log);
    expect(log.lines.filter(({ level }) => level === "warn")).toEqual([]);
    make(create, { reconect_time_wait: 2, zzz: 1 }, log);
    const told = log.lines.filter(({ message }) => message.startsWith("property")).map(({ fields }) => fields);
    expect(told).toEqual([
      { source: "d", property: "reconect_time_wait", meant: "reconnect_time_wait" },
      { source: "d", property: "zzz" },
    ]);
  });

  test(`${name} broker - its table names each property once and says what it does`, () => {
    expect(new Set(table.map((one) => one.name)).size).toBe(table.length);
    expect(table.every(({ what }) => what.endsWith("."))).toBe(true);
    expect(make(create, {}).status()).toMatchObject({
      name: "d",
      type: name,
      state: { name: "connecting" },
      missing: [],
    });
  });

  test(`${name} broker - docs/sources/${name}.md has the same table`, async () => {
    const page = await Bun.file(`${import.meta.dir}/../../../docs/sources/${name}.md`).text();
    const rows = table.map(
      ({ name: property, type, default: fallback, what }) =>
        `| \`${property}\` | ${type} | ${fallback && `\`${fallback}\``} | ${what} |`,
    );
    expect(page.split("\n").filter((line) => line.startsWith("| `"))).toEqual(rows);
  });
}

test("nats broker - a queue group is refused: it would give a part of the records", () => {
  expect(refusal(createNatsBroker, { queue: "q" })).toContain('property "queue" is refused');
});

test("jetstream broker - where it begins must be whole", () => {
  const cases: readonly [Properties, string][] = [
    [{ deliver_policy: "first" }, 'property "deliver_policy" must be one of all, last, new'],
    [{ deliver_policy: "by_start_sequence" }, 'property "opt_start_seq" belongs to deliver_policy by_start_sequence'],
    [{ opt_start_seq: 5 }, 'property "opt_start_seq" belongs to'],
    [{ deliver_policy: "by_start_time", opt_start_time: "yesterday" }, 'property "opt_start_time" must be a time'],
    [{ opt_start_time: "2026-01-31T12:00:00Z" }, 'property "opt_start_time" belongs to'],
    [{ durable_name: "a.b" }, 'property "durable_name" must be one word'],
    [{ stream: "A B" }, 'property "stream" must be one word'],
  ];
  for (const [properties, reason] of cases) expect(refusal(createJetstreamBroker, properties)).toContain(reason);
});
