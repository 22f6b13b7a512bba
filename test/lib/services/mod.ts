/**
 * Real servers for tests and for `npm run services`: Redis, NATS (JetStream) and Kafka on free ports with their files in
 * temporary folders. A test file starts what it needs in `beforeAll` and stops it in `afterAll`, or with `await using`.
 */
export type { TlsFiles } from "./greeting.ts";
export { type KafkaOptions, KafkaServer, startKafka } from "./kafka.ts";
export { type NatsOptions, NatsServer, startNats } from "./nats.ts";
export { freePort } from "./port.ts";
export { type RedisOptions, RedisServer, startRedis } from "./redis.ts";
