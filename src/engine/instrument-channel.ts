/**
 * The channel `instrument`: every instrument that is added or changes, in every market, as this node's registry
 * has it.
 *
 * On the path: instruments registry -> INSTRUMENT CHANNEL -> the channel's own state.
 * Invariants: the chain is this node's own and knows no gap; its epoch is the time it began, so that no position of another
 * run or node is taken for one of its own.
 */
import { BUS_VERSION, type ShardHeader, type Subscription } from "../bus/bus.ts";
import type { ChannelConsumer } from "../bus/consumer.ts";
import type { Channel } from "../channel/channel.ts";
import type { Clock } from "../lib/clock.ts";
import type { Instruments } from "./all-market.ts";

export function followInstruments(
  channel: Channel,
  consumer: ChannelConsumer,
  instruments: Instruments,
  clock: Pick<Clock, "wallUs">,
): Subscription {
  const epoch = `instruments-${clock.wallUs().toString(36)}`;
  const header: ShardHeader = { version: BUS_VERSION, shard: "", token: 0, epoch };
  const place = { channel: channel.name, user: "" };
  let last: number | null = null;
  const nothing = { seq: null, provides: [], after: null, state: null, time: 0, history: [], stale: false };
  consumer.state({ ...header, ...place, ...nothing }, "first");
  const stop = instruments.onChange((instrument) => {
    const prev = last;
    last = (prev ?? 0) + 1;
    const receivedUs = clock.wallUs();
    const at = { seq: last, prev, time: Math.floor(receivedUs / 1000), receivedUs };
    const data = [{ json: JSON.stringify(instrument) }];
    consumer.publication({ ...place, kind: channel.kind, ...at, type: "items", data }, header);
  });
  return { close: stop };
}
