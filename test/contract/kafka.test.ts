/** The source contract against a real Kafka, and that a shard over it goes on from its checkpoint with the same numbers. */
import { afterAll, beforeAll } from "bun:test";
import type { Broker } from "../../src/ingest/broker.ts";
import { brokerOf, Followed, KafkaDesk, plainTopic } from "../ingest/kafka-rig.ts";
import { type KafkaServer, startKafka } from "../lib/services/mod.ts";
import { TEST_MS_MAX } from "../lib/wait.ts";
import { sourceContract } from "./source.ts";

let kafka: KafkaServer;
let desk: KafkaDesk;
let broker: Broker;
let refusing: Broker;
let followed: Followed;
let refused: Followed;

beforeAll(async () => {
  kafka = await startKafka();
  desk = new KafkaDesk(kafka.url);
  await desk.topic("numbers");
  await desk.topic("empty");
  for (let first = 0; first < 6000; first += 1000) await desk.count("numbers", 1000, first);
  broker = brokerOf(kafka.url);
  refusing = brokerOf(kafka.url, { "auto.offset.reset": "none" });
  followed = new Followed(broker, plainTopic("numbers"));
  refused = new Followed(refusing, plainTopic("empty"));
  await followed.of(1);
  await refused.of(1);
}, TEST_MS_MAX);

afterAll(async () => {
  await Promise.allSettled([broker?.close(), refusing?.close(), desk?.close()]);
  await kafka?.stop();
});

sourceContract("kafka", {
  open: () => followed.inputs[0]!.open(),
  endsAfter: null,
  failing: () => refused.inputs[0]!.open(),
});
