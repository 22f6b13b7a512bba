import { expect, test } from "bun:test";
import { createFakeClock } from "../../lib/fake-clock.ts";
import { silentLog } from "../../lib/log.ts";
import { Feed } from "./feed.ts";
import { Pace } from "./pace.ts";
import { KafkaSource, type SourcePorts } from "./source.ts";

/** Where a source without an offset of its own asks to begin. */
async function begun(prepare: (source: KafkaSource) => void): Promise<string[]> {
  const clock = createFakeClock();
  const asked: string[] = [];
  const stop = new AbortController();
  const ports: SourcePorts = {
    ...{ clock, random: () => 0.5, log: silentLog, pace: new Pace(() => 0), reset: "latest", committedOnly: false },
    ...{ topicId: "id", signal: new AbortController().signal },
    attach: (place, incarnation, wake) => new Feed(place, incarnation, 1024, 0, wake),
    detach: () => undefined,
    admitted: () => Promise.resolve(),
    isAdded: () => false,
    contested: () => undefined,
    offsetOf(_, which) {
      asked.push(which);
      stop.abort();
      return Promise.resolve(7);
    },
    troubleOf: () => null,
    reconnect: () => undefined,
    commit: () => undefined,
    deadLetter: () => undefined,
  };
  const source = new KafkaSource("k", { topic: "t", partition: 0 }, ports);
  prepare(source);
  await source.run({ accept: () => undefined, busy: () => null }, null, stop.signal);
  return asked;
}

test("kafka source - without a checkpoint auto.offset.reset says where to begin", async () => {
  expect(await begun(() => undefined)).toEqual(["latest"]);
});

test("kafka source - a topic that was made anew while nobody read it is read from its start all the same", async () => {
  expect(await begun((source) => source.madeAnew())).toEqual(["earliest"]);
});
