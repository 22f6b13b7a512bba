/** Source `redis-stream`: Redis Streams, one shard per key. */
export { createRedisStreamBroker } from "./broker.ts";
export { REDIS_STREAM_PROPERTIES } from "./properties.ts";
