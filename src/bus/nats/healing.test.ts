import { expect, test } from "bun:test";
import type { NatsConnection } from "@nats-io/transport-node";
import { wallMs } from "../../lib/clock.ts";
import { createFakeClock } from "../../lib/fake-clock.ts";
import type { NatsLink } from "../../lib/nats.ts";
import type { StateReply, StateRequest } from "../bus.ts";
import { Healing } from "./healing.ts";
import type { ReplayQuestion } from "./replay.ts";
import { createWire } from "./wire.ts";

const TOPIC = "fanout.btcusdt";
const request: StateRequest = { channel: "btcusdt@trade", user: "", since: { epoch: "e1", seq: 7 } };

/** The stream answers if it is read from `lostAgoMs` ago or earlier. */
function stage(lostAgoMs: number) {
  const clock = createFakeClock();
  const from: number[] = [];
  const reply = {} as StateReply;
  const healing = new Healing({
    ...{ clock, stream: "TG_x", wire: createWire(1), topicOf: () => TOPIC, failed: () => undefined },
    link: () => ({ connection: {} as NatsConnection }) as NatsLink,
    topics: { of: (name) => ({ subject: `tg.x.${name}`, way: "jetstream" }) },
    presence: { isCurrent: () => true },
    read: ({ fromMs }: ReplayQuestion) => {
      from.push(wallMs(clock) - fromMs);
      return Promise.resolve(wallMs(clock) - fromMs >= lostAgoMs ? reply : null);
    },
  });
  return { clock, healing, from, reply };
}

test("nats bus, healing - the stream is read from shortly before the last message, and further back only if that is not enough", async () => {
  for (const [lostAgoMs, read] of [
    [1000, [2500]],
    [20_000, [2500, 62_000]],
    [90_000, [2500, 62_000]],
  ] as const) {
    const { clock, healing, from, reply } = stage(lostAgoMs);
    healing.entered(TOPIC);
    await clock.run(100_000);
    healing.heard(TOPIC);
    await clock.run(500);
    expect(await healing.ask(request)).toBe(lostAgoMs < 62_000 ? reply : null);
    expect(from).toEqual([...read]);
  }
});

test("nats bus, healing - nothing is missing of the time before the topic was entered; who enters it again asks no further back", async () => {
  const { clock, healing, from } = stage(Number.POSITIVE_INFINITY);
  healing.entered(TOPIC);
  await clock.run(1000);
  // Nothing came yet.
  expect(await healing.ask(request)).toBeNull();
  healing.entered(TOPIC);
  await clock.run(500);
  expect(await healing.ask(request)).toBeNull();
  healing.left(TOPIC);
  await clock.run(10_000);
  healing.entered(TOPIC);
  await clock.run(100);
  expect(await healing.ask(request)).toBeNull();
  expect(from).toEqual([3000, 3500, 2100]);
});
