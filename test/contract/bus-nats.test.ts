/** The bus over NATS under the bus contract, against a real server. */
import { afterAll, beforeAll } from "bun:test";
import { type NatsServer, startNats } from "../lib/services/mod.ts";
import { busContract } from "./bus.ts";
import { natsBusFixture } from "./bus-nats-fixture.ts";

let server: NatsServer;
beforeAll(async () => {
  server = await startNats({ jetstream: false });
});
afterAll(() => server.stop());

busContract("nats", async () => natsBusFixture(() => server.url), {
  propertyRuns: 8,
});
