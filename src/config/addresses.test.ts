import { expect, test } from "bun:test";
import { addressesSchema, resolverOf } from "./addresses.ts";

test("addresses - a name is dialled where the list says, any other as it is", () => {
  const resolve = resolverOf(["kafka:9092=127.0.0.1:19092", "[::1]:4222=nats.example.com:14222"]);
  expect(["kafka:9092", "Kafka:9092", "[::1]:4222", "kafka:9093", "nats:4222"].map(resolve)).toEqual([
    "127.0.0.1:19092",
    "127.0.0.1:19092",
    "nats.example.com:14222",
    "kafka:9093",
    "nats:4222",
  ]);
});

test("addresses - what is no pair of addresses is refused", () => {
  for (const wrong of ["kafka=127.0.0.1:1", "kafka:9092", "kafka:9092=", "=a:1", "a:1=b:c", "a:1=b:1=c:1"]) {
    expect([wrong, addressesSchema.safeParse([wrong]).success]).toEqual([wrong, false]);
  }
  expect(addressesSchema.safeParse(["kafka:9092=127.0.0.1:19092"]).success).toBe(true);
});
