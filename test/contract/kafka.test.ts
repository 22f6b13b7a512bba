/** The source contracts against a real Kafka that wants TLS and a login, behind an address that is not its own. */
import { afterAll, beforeAll, setDefaultTimeout, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Broker } from "../../src/ingest/broker.ts";
import type { KafkaBroker } from "../../src/ingest/kafka/broker.ts";
import { brokerOf, Followed, KafkaDesk, type Properties, plainTopic } from "../ingest/kafka-rig.ts";
import { type KafkaServer, startKafka } from "../lib/services/mod.ts";
import { TEST_MS_MAX, waitFor } from "../lib/wait.ts";
import { selfSigned } from "../venue/certificate.ts";
import { resumeContract } from "./resume.ts";
import { sourceContract } from "./source.ts";

/** What the broker calls itself, and its certificate; only a mapped address leads to it. */
const NAME = "localhost:9";
let kafka: KafkaServer;
let desk: KafkaDesk;
let refusing: Broker;
let followed: Followed;
let refused: Followed;
let secure: Properties;
const made: KafkaBroker[] = [];

setDefaultTimeout(TEST_MS_MAX);

function broker(properties: Properties = {}): KafkaBroker {
  const one = brokerOf(
    NAME,
    { ...secure, ...properties },
    {
      resolveAddress: (hostPort) => (hostPort === NAME ? kafka.url : hostPort),
    },
  );
  made.push(one);
  return one;
}

const errorOf = (one: Broker): string => {
  const { state } = one.status();
  return state.name === "connecting" ? state.error : "";
};

beforeAll(async () => {
  const certificate = selfSigned();
  kafka = await startKafka({ tls: certificate, user: "gate", password: "open sesame", advertised: NAME });
  const ca = join(kafka.folder, "ca.pem");
  writeFileSync(ca, certificate.cert);
  secure = {
    "security.protocol": "SASL_SSL",
    "sasl.mechanism": "PLAIN",
    "sasl.jaas.config":
      'org.apache.kafka.common.security.plain.PlainLoginModule required username="gate" password="open sesame";',
    "ssl.ca.location": ca,
  };
  desk = new KafkaDesk(kafka.url, {
    tls: { ca: certificate.cert },
    sasl: { mechanism: "PLAIN", username: "gate", password: "open sesame" },
  });
  await Promise.all([desk.topic("numbers"), desk.topic("empty")]);
  for (let first = 0; first < 6000; first += 1000) await desk.count("numbers", 1000, first);
  refusing = broker({ "auto.offset.reset": "none" });
  followed = new Followed(broker(), plainTopic("numbers"));
  refused = new Followed(refusing, plainTopic("empty"));
  await Promise.all([followed.of(1), refused.of(1)]);
});

afterAll(async () => {
  await Promise.allSettled([...made, ...(desk === undefined ? [] : [desk])].map((one) => one.close()));
  await kafka?.stop();
});

sourceContract("kafka", {
  open: () => followed.inputs[0]!.open(),
  endsAfter: null,
  failing: () => refused.inputs[0]!.open(),
});

resumeContract("kafka", { open: () => followed.inputs[0]!.open() });

test("kafka - refused credentials, an untrusted certificate and a wrong protocol are told in a sentence each", async () => {
  const wrong = broker({ "sasl.jaas.config": null, "sasl.username": "gate", "sasl.password": "open barley" });
  const untrusted = broker({ "ssl.ca.location": "" });
  const plain = broker({ "security.protocol": "PLAINTEXT" });
  // Where it was dialled, and what the configuration calls that.
  const where = `${kafka.url} (${NAME} by --addresses)`;
  const told: [KafkaBroker, RegExp][] = [
    [wrong, /^K refuses the credentials of user "gate" \(PLAIN\): correct sasl\.username and sasl\.password$/],
    [untrusted, /^the certificate of K is not trusted \(.+\): set ssl\.ca\.location$/],
    [plain, /^K speaks TLS: set security\.protocol to SSL or SASL_SSL$/],
  ];
  for (const [one, sentence] of told) {
    await waitFor(
      () => sentence.test(errorOf(one).replace(where, "K")),
      () => `${sentence}: ${errorOf(one)}`,
    );
  }
});
