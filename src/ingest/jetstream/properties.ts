/** The properties of a `jetstream` data source: those of the connection, and where and how its streams are read. */
import { DeliverPolicy } from "@nats-io/jetstream";
import type { BrokerProperty } from "../broker.ts";
import { asTable, type BrokerProperties } from "../broker-properties.ts";
import { CONNECTION_PROPERTIES } from "../nats/connection.ts";
import type { Begin } from "./consumer.ts";

export const JETSTREAM_PROPERTIES: readonly BrokerProperty[] = [
  ...CONNECTION_PROPERTIES,
  ...asTable([
    ["stream", "string", "", "The stream that is read. Empty: the one whose subjects hold the source topic."],
    ["domain", "string", "", "JetStream domain. Empty: that of the server."],
    [
      "deliver_policy",
      "string",
      "all",
      "Where reading begins without a checkpoint: `all`, `last`, `last_per_subject`, `new`, `by_start_sequence`, `by_start_time`.",
    ],
    ["opt_start_seq", "number", "", "Number in the stream, for `by_start_sequence`."],
    ["opt_start_time", "string", "", "Time like 2026-01-31T12:00:00Z, for `by_start_time`."],
    [
      "durable_name",
      "string",
      "",
      "With it each subject is read through a durable consumer `<durable_name>_<subject>`, on which everything that is in a stored checkpoint is acknowledged. It shows operators how far we are and lets streams of `interest` and `workqueue` retention free records; a node goes on from its own checkpoint all the same. Empty: consumers that vanish by themselves.",
    ],
  ]),
];

export interface JetstreamSettings {
  readonly stream: string | null;
  readonly domain: string | null;
  readonly durableName: string | null;
  readonly begin: Begin;
}

/** Words of which names of streams, consumers and domains are made. */
const NAME = /^[^\s.*>/\\\p{Cc}]+$/u;
const SEQ_MAX = 1e15;

export function settingsOf(properties: BrokerProperties): JetstreamSettings {
  return {
    stream: nameOf(properties, "stream"),
    domain: nameOf(properties, "domain"),
    durableName: nameOf(properties, "durable_name"),
    begin: beginOf(properties),
  };
}

function nameOf(properties: BrokerProperties, property: string): string | null {
  const name = properties.text(property) || null;
  if (name !== null && !NAME.test(name)) throw properties.wrong(property, "must be one word without . * > / and \\");
  return name;
}

function beginOf(properties: BrokerProperties): Begin {
  const policy = properties.choice("deliver_policy", Object.values(DeliverPolicy)) ?? DeliverPolicy.All;
  const seq = properties.number("opt_start_seq", 1, SEQ_MAX);
  const time = properties.text("opt_start_time");
  if ((policy === DeliverPolicy.StartSequence) !== (seq !== undefined)) {
    throw properties.wrong("opt_start_seq", "belongs to deliver_policy by_start_sequence: give both or none");
  }
  if ((policy === DeliverPolicy.StartTime) !== (time !== undefined)) {
    throw properties.wrong("opt_start_time", "belongs to deliver_policy by_start_time: give both or none");
  }
  if (time === undefined) return { policy, seq };
  const ms = Date.parse(time);
  if (Number.isNaN(ms)) throw properties.wrong("opt_start_time", "must be a time like 2026-01-31T12:00:00Z");
  return { policy, time: new Date(ms).toISOString() };
}
