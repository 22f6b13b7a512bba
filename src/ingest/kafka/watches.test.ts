import { expect, test } from "bun:test";
import type { BrokerInput, TopicPattern } from "../broker.ts";
import type { ClusterView, TopicView } from "./cluster.ts";
import { GONE_MS, Watches } from "./watches.ts";

const topic = (name: string, leaders: readonly number[], id = name, errorCode = 0): TopicView => ({
  ...{ name, id, errorCode },
  partitions: leaders.map((leader, index) => ({ index, leader })),
});

const view = (...topics: TopicView[]): ClusterView => ({
  address: "kafka:9092",
  nodes: new Map([[1, "kafka:9092"]]),
  topics: new Map(topics.map((one) => [one.name, one])),
});

const plain = (name: string): TopicPattern => ({
  text: name,
  symbolOf: (of) => (of === name ? "" : null),
  topics: () => [name],
});

const perSymbol: TopicPattern = {
  text: "md.{symbol}",
  symbolOf: (of) => (["md.a", "md.b"].includes(of) ? of.slice(3) : null),
  topics: () => ["md.a", "md.b"],
};

function stage(pattern: TopicPattern) {
  const watches = new Watches((name, partition) => ({
    ...{ id: `${name}/${partition}`, topic: name },
    open: () => {
      throw new Error("not opened here");
    },
  }));
  const told: string[][] = [];
  let last: readonly BrokerInput[] = [];
  const watch = watches.add(pattern, (inputs) => {
    told.push(inputs.map(({ id }) => id));
    last = inputs;
  });
  const apply = (nowMs: number, ...topics: TopicView[]) => {
    const changes = watches.apply(view(...topics), nowMs);
    watches.tell();
    return { recreated: changes.recreated, grown: [...changes.grown] };
  };
  return { watches, watch, told, apply, inputs: () => last };
}

test("kafka watches - inputs are told once they are known and again when they change; one that stays is the same", () => {
  const { apply, told, inputs, watch } = stage(plain("t"));
  apply(0);
  apply(1, topic("t", [1, 1]));
  const [first] = inputs();
  // A leader that moves changes nothing.
  apply(2, topic("t", [1, 2]), topic("other", [1]));
  expect(apply(3, topic("t", [1, 2, 1])).grown).toEqual([["t", 2]]);
  expect(told).toEqual([[], ["t/0", "t/1"], ["t/0", "t/1", "t/2"]]);
  expect(inputs()[0]).toBe(first!);
  watch.close();
  apply(4, topic("t", [1]));
  expect(told.length).toBe(3);
});

test("kafka watches - a broker that knows fewer partitions lags; a topic of another id was made anew", () => {
  const { apply, told, watches } = stage(plain("t"));
  apply(0, topic("t", [1, 1, 1], "one"));
  expect(apply(1, topic("t", [2], "one"))).toEqual({ recreated: [], grown: [] });
  expect(watches.topics.get("t")?.leaders).toEqual([2, 1, 1]);
  expect(apply(2, topic("t", [1], "two"))).toEqual({ recreated: ["t"], grown: [] });
  expect(told).toEqual([["t/0", "t/1", "t/2"], ["t/0"]]);
});

test("kafka watches - a topic that is gone is missing at once, and its inputs go later", () => {
  const { apply, told, watches } = stage(plain("t"));
  apply(0, topic("t", [1]));
  apply(1000, topic("t", [], "t", 3));
  expect(watches.missing).toEqual([
    { topic: "t", reason: 'topic "t" does not exist at kafka:9092: make it, or correct source_topic' },
  ]);
  apply(1000 + GONE_MS - 1, topic("t", [], "t", 3));
  expect(told).toEqual([["t/0"]]);
  apply(1000 + GONE_MS, topic("t", [], "t", 3));
  expect(told).toEqual([["t/0"], []]);
  apply(2000 + GONE_MS, topic("t", [1]));
  expect(told).toEqual([["t/0"], [], ["t/0"]]);
  expect(watches.missing).toEqual([]);
});

test("kafka watches - what may not be read is told as that", () => {
  const { apply, watches } = stage(plain("t"));
  apply(0, topic("t", [], "", 29));
  expect(watches.missing[0]?.reason).toBe(
    'kafka:9092 does not let us read topic "t": allow our user Read and Describe on it',
  );
});

test("kafka watches - a pattern asks for all topics, takes its own, and says when there is none", () => {
  const { apply, told, watches } = stage(perSymbol);
  expect(watches.names).toBeNull();
  apply(0, topic("md.c", [1]));
  expect(watches.missing[0]?.reason).toContain('no topic at kafka:9092 is of the form "md.{symbol}"');
  apply(1, topic("md.c", [1]), topic("md.b", [1]), topic("md.a", [1]));
  expect(watches.missing).toEqual([]);
  expect(told).toEqual([[], ["md.a/0", "md.b/0"]]);
  watches.add(plain("t"), () => undefined);
  expect(watches.names).toBeNull();
});
