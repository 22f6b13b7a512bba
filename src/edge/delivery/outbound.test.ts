/** Outbound limits: what is measured for a session, whatever it joins and leaves, and when it is slowed. */
import { expect, test } from "bun:test";
import { native } from "../../protocol/native/mod.ts";
import type { TopicKey } from "../../ring/messages.ts";
import { Counters } from "../counters.ts";
import { frameHeadBytes, Hub } from "../hub.ts";
import { Session, type Socket, send, type Wire } from "../session/session.ts";
import { Outbound } from "./outbound.ts";

function world(limits: { framesPerSecond?: number; bytesPerSecond?: number }) {
  const counters = new Counters();
  const hub = new Hub(counters, { native, binance: native }, () => undefined);
  hub.publishThrough({ publish: (_name, text) => text.length });
  const slowed: string[] = [];
  const outbound = new Outbound(
    { outbound: { framesPerSecond: 0, bytesPerSecond: 0, ...limits } },
    { counters, slowDown: (_session, cause) => void slowed.push(cause) },
  );
  const session = new Session({} as Wire, [], 0);
  const nothing = () => undefined;
  session.socket = {
    subscribe: nothing,
    unsubscribe: nothing,
    send: (text: string) => text.length,
  } as unknown as Socket;
  hub.enter(session);
  let nowMs = 0;
  return {
    ...{ counters, hub, slowed, session },
    topic: (channel: string, rung: TopicKey["rung"] = 0) =>
      hub.topic({ channel, rung, dialect: "native", timeUnit: "ms" }),
    /** A second passes and the session is looked at; how often it was slowed for it. */
    second() {
      nowMs += 1000;
      const before = slowed.length;
      outbound.look(session, nowMs);
      return slowed.length - before;
    },
    join(channel: string, rung: TopicKey["rung"] = 0) {
      const topic = this.topic(channel, rung);
      hub.add(session, hub.stream(topic, channel, false));
      return topic;
    },
    publish: (topic: ReturnType<Hub["topic"]>, times: number) => {
      for (let n = 0; n < times; n++) hub.publish(topic, "x".repeat(100));
    },
  };
}

test("outbound - without a limit nothing is measured", () => {
  const w = world({});
  w.publish(w.join("a@trade"), 1000);
  expect([w.second(), w.second(), w.session.meter]).toEqual([0, 0, null]);
});

test("outbound - frames a second: at the limit it goes on, over it one rung down, once for each measured second", () => {
  const w = world({ framesPerSecond: 10 });
  const topic = w.join("a@trade");
  w.second();
  w.publish(topic, 10);
  expect(w.second()).toBe(0);
  w.publish(topic, 11);
  expect(w.second()).toBe(1);
  expect(w.slowed).toEqual(["outbound"]);
  expect(w.counters.limits).toEqual({ outbound: 1 });
});

test("outbound - bytes a second, replies included", () => {
  const size = 100 + frameHeadBytes(100);
  const w = world({ bytesPerSecond: 10 * size });
  w.second();
  for (let n = 0; n < 10; n++) send(w.session, "x".repeat(100), w.counters);
  expect(w.second()).toBe(0);
  for (let n = 0; n < 11; n++) send(w.session, "x".repeat(100), w.counters);
  expect(w.second()).toBe(1);
});

test("outbound - what a stream carried before, after and without the session does not count", () => {
  const w = world({ framesPerSecond: 10 });
  const topic = w.topic("a@trade");
  const other = new Session({} as Wire, [], 0);
  other.socket = w.session.socket;
  w.hub.enter(other);
  w.hub.add(other, w.hub.stream(topic, "a@trade", false));
  w.second();
  w.publish(topic, 100);
  w.join("a@trade");
  w.publish(topic, 5);
  expect(w.second()).toBe(0);
  w.publish(topic, 5);
  w.hub.remove(w.session, 0);
  w.publish(topic, 100);
  expect(w.second()).toBe(0);
  w.join("a@trade");
  w.publish(topic, 6);
  w.hub.replace(w.session, 0, w.hub.stream(w.topic("a@trade", 100), "a@trade", false));
  w.publish(topic, 100);
  w.publish(w.topic("a@trade", 100), 5);
  expect(w.second()).toBe(1);
});

test("outbound - after a step it is measured anew only when the move has happened", () => {
  const w = world({ framesPerSecond: 10 });
  const topic = w.join("a@trade", 2000);
  w.second();
  const steps: number[] = [];
  for (let n = 0; n < 9; n++) {
    w.publish(topic, 50);
    steps.push(w.second());
  }
  // The next rung is 3000 ms: the second that begins then is the next to count.
  expect(steps).toEqual([1, 0, 0, 0, 1, 0, 0, 0, 1]);
});
