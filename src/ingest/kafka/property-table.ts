/** The table of the properties that a Kafka data source understands: for its checks, its schema and its documentation. */
import type { BrokerProperty } from "../broker.ts";
import { asTable, type BrokerProperties } from "../broker-properties.ts";

const TABLE = asTable([
  ["bootstrap.servers", "strings", "", "Required. `host:port` of one or more brokers; without a port 9092."],
  [
    "group.id",
    "string",
    "",
    "Group under which processed offsets are committed once a second, for operators and their lag tools. We never join it and never read it: a node goes on from its own checkpoint. Empty: nothing is committed.",
  ],
  ["client.id", "string", "tidegate", "Name in the brokers' logs and quotas."],
  [
    "auto.offset.reset",
    "string",
    "latest",
    "Where a partition without a checkpoint begins: `earliest`, `latest`, or `none`: its source fails and says so.",
  ],
  [
    "isolation.level",
    "string",
    "read_uncommitted",
    "`read_committed` leaves out records of aborted transactions and waits at open ones.",
  ],
  ["fetch.min.bytes", "number", "1", "Bytes a broker waits for before it answers a fetch, up to `fetch.max.wait.ms`."],
  ["fetch.max.wait.ms", "number", "500", "Longest wait of a broker for `fetch.min.bytes`."],
  ["fetch.max.bytes", "number", "4194304", "Bytes of one answer over all its partitions."],
  [
    "max.partition.fetch.bytes",
    "number",
    "262144",
    "Bytes of one partition in an answer; twice that may wait in memory for each partition. A larger batch still comes whole.",
  ],
  [
    "request.timeout.ms",
    "number",
    "5000",
    "Without an answer for so long a connection is given up and made again. At least a second above `fetch.max.wait.ms`.",
  ],
  [
    "socket.connection.setup.timeout.ms",
    "number",
    "3000",
    "Without a connection (and login) for so long it is tried again.",
  ],
  [
    "metadata.max.age.ms",
    "number",
    "5000",
    "How often topics, partitions and leaders are asked for; at once after an error.",
  ],
  ["security.protocol", "string", "PLAINTEXT", "`PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`."],
  ["sasl.mechanism", "string", "PLAIN", "`PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`; also `sasl.mechanisms`."],
  ["sasl.username", "string", "", "User for SASL."],
  ["sasl.password", "string", "", "Password for SASL."],
  [
    "sasl.jaas.config",
    "string",
    "",
    'User and password as Java clients have them: `...PlainLoginModule required username="u" password="p";`.',
  ],
  ["ssl.ca.location", "string", "", "PEM file with the certificates to trust. Empty: those of the system."],
  ["ssl.truststore.location", "string", "", "The same, as Java clients name it; must be PEM."],
  ["ssl.certificate.location", "string", "", "PEM file with our certificate, if the brokers want one."],
  ["ssl.key.location", "string", "", "PEM file with its private key."],
  ["ssl.keystore.location", "string", "", "PEM file with both, as Java clients name it."],
  ["ssl.key.password", "string", "", "Password of the private key."],
  [
    "ssl.endpoint.identification.algorithm",
    "string",
    "https",
    "`https` checks that a broker's certificate names its host; empty or `none` does not.",
  ],
  [
    "dead.letter.topic",
    "string",
    "",
    "Topic for records that a mapper cannot read, with their topic, partition, offset and the reason as headers. At most 1,000 wait for it; more are counted and left out. Empty: they are only counted.",
  ],
]);

/** Other clients' names for what we have. */
export const ALIASES: Readonly<Record<string, string>> = {
  "metadata.broker.list": "bootstrap.servers",
  "sasl.mechanisms": "sasl.mechanism",
  "fetch.wait.max.ms": "fetch.max.wait.ms",
  "fetch.message.max.bytes": "max.partition.fetch.bytes",
};

export const KAFKA_PROPERTIES: readonly BrokerProperty[] = TABLE.map((property) => ({
  ...property,
  aliases: Object.keys(ALIASES).filter((alias) => ALIASES[alias] === property.name),
}));

/** One of the words, or its default. */
export function wordOf<Word extends string>(
  given: BrokerProperties,
  name: string,
  words: readonly Word[],
  spell: (text: string) => string = (text) => text.toLowerCase(),
): Word {
  const text = spell((given.text(name) || fallbackOf(name)).trim());
  const found = words.find((word) => word === text);
  if (found === undefined) throw given.wrong(name, `must be one of ${words.join(", ")}`);
  return found;
}

export function fallbackOf(name: string): string {
  return KAFKA_PROPERTIES.find((one) => one.name === name)?.default ?? "";
}
