/** The source of core NATS under the source contract, against a real server. */

import { Followed, plainTopic } from "../ingest/broker-rig.ts";
import { Brokers, Desk } from "../ingest/nats-rig.ts";
import { startNats } from "../lib/services/mod.ts";
import { sourceContract } from "./source.ts";

const server = await startNats({ jetstream: false });
const brokers = new Brokers(() => server.url);
const desk = await Desk.open(server.url);

let said = 0;
const talking = setInterval(() => {
  for (let i = 0; i < 40; i++) desk.connection.publish("feed.a", `${said++}`);
}, 2);

const broker = brokers.nats();
const input = await new Followed(broker, plainTopic("feed.a")).one();

sourceContract("nats", {
  open: () => input.open(),
  endsAfter: null,
  async close() {
    clearInterval(talking);
    await desk.close();
    await brokers.close();
    await server.stop();
  },
});
