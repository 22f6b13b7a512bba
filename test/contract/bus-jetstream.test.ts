/** The bus over JetStream under the bus contract, against a real server. */
import { afterAll, beforeAll } from "bun:test";
import { type NatsServer, startNats } from "../lib/services/mod.ts";
import { busContract } from "./bus.ts";
import { natsBusFixture } from "./bus-nats-fixture.ts";

let server: NatsServer;
beforeAll(async () => {
  server = await startNats();
});
afterAll(() => server.stop());

const stream = { maxAgeSeconds: 60, maxBytes: 16 * 1024 * 1024, storage: "memory", replicas: 1 } as const;

busContract("jetstream", async () => natsBusFixture(() => server.url, { kind: "jetstream", stream }), {
  knowsInterest: false,
  propertyRuns: 4,
});
