import { expect, test } from "bun:test";
import { createFakeClock, type FakeClock } from "../../lib/fake-clock.ts";
import { silentLog } from "../../lib/log.ts";
import type { RecordSink } from "../source.ts";
import { Feed } from "./feed.ts";
import { Pace } from "./pace.ts";
import { KafkaSource, type SourcePorts } from "./source.ts";

interface Stage {
  readonly source: KafkaSource;
  readonly clock: FakeClock;
  readonly asked: string[];
  /** Feeds that were begun. */
  readonly feeds: Feed[];
  readonly stop: AbortController;
}

/** Its partition begins and ends at 7. */
function stage(offsetAsked: (stage: Stage) => void = () => undefined): Stage {
  const clock = createFakeClock();
  const ports: SourcePorts = {
    ...{ clock, random: () => 0.5, log: silentLog, pace: new Pace(() => 0), reset: "latest", committedOnly: false },
    ...{ topicId: "id", signal: new AbortController().signal },
    attach(place, incarnation, wake) {
      const feed = new Feed(place, incarnation, 1024, 0, wake);
      staged.feeds.push(feed);
      return feed;
    },
    detach: () => undefined,
    admitted: () => Promise.resolve(),
    isAdded: () => false,
    contested: () => undefined,
    offsetOf(_, which) {
      staged.asked.push(which);
      offsetAsked(staged);
      return Promise.resolve(7);
    },
    troubleOf: () => null,
    reconnect: () => undefined,
    commit: () => undefined,
    deadLetter: () => undefined,
  };
  const source = new KafkaSource("k", { topic: "t", partition: 0 }, ports);
  const staged: Stage = { source, clock, asked: [], feeds: [], stop: new AbortController() };
  return staged;
}

const SINK: RecordSink = { accept: () => undefined, busy: () => null };

/** Where a source without an offset of its own asks to begin. */
async function begun(prepare: (source: KafkaSource) => void): Promise<string[]> {
  const { source, asked, stop } = stage((staged) => staged.stop.abort());
  prepare(source);
  await source.run(SINK, null, stop.signal);
  return asked;
}

test("kafka source - without a checkpoint auto.offset.reset says where to begin", async () => {
  expect(await begun(() => undefined)).toEqual(["latest"]);
});

test("kafka source - a topic that was made anew while nobody read it is read from its start all the same", async () => {
  expect(await begun((source) => source.madeAnew())).toEqual(["earliest"]);
});

test("kafka source - brokers that contradict each other about an offset are asked with growing pauses, and it is told", async () => {
  const { source, clock, asked, feeds, stop } = stage();
  const running = source.run(SINK, 6, stop.signal);
  await clock.run(0);
  const feed = feeds[0]!;
  // Its leader does not have what the partition says it has.
  const leave = (): void => {
    if (feed.next !== null) feed.leaveRange();
  };
  leave();
  await clock.run(0);
  expect(asked).toEqual(["earliest", "latest"]);
  leave();
  await clock.run(100);
  expect(source.status().state).toMatchObject({
    name: "connecting",
    error: 'partition 0 of topic "t" has no offset 7',
  });
  for (let ms = 0; ms < 60_000; ms += 50) {
    leave();
    await clock.run(50);
  }
  // 300, 600, 1200, 2400 and then 3750 ms apart: each asks twice.
  expect(asked.length).toBeGreaterThan(20);
  expect(asked.length).toBeLessThan(50);
  stop.abort();
  await running;
});
