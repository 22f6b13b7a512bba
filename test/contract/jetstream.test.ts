/** The source of JetStream under the source contract, against a real server. */
import { Followed, numbers, plainTopic } from "../ingest/broker-rig.ts";
import { Brokers, Desk } from "../ingest/nats-rig.ts";
import { startNats } from "../lib/services/mod.ts";
import { resumeContract } from "./resume.ts";
import { sourceContract } from "./source.ts";

const server = await startNats();
const brokers = new Brokers(() => server.url);
const desk = await Desk.open(server.url);
await desk.stream("FEED", ["feed.>"]);
await desk.store("feed.a", numbers(4000));
const input = await new Followed(brokers.jetstream(), plainTopic("feed.a")).one();

resumeContract("jetstream", { open: () => input.open(), first: 1 });
sourceContract("jetstream", {
  open: () => input.open(),
  // A stream's numbers begin at 1.
  first: 1,
  endsAfter: null,
  async close() {
    await desk.close();
    await brokers.close();
    await server.stop();
  },
});
