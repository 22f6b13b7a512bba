/**
 * A rig for engine tests: a scripted follower, a ring that remembers its records, and an encoder that says plainly what it
 * was given, so that a test reads as a conversation.
 */
import type { ShardHeader, StateReply } from "../../bus/bus.ts";
import type { ChannelConsumer } from "../../bus/consumer.ts";
import type { Catalog, Channel } from "../../channel/channel.ts";
import type { Body, Depth, Publication } from "../../channel/types.ts";
import { GatewayError } from "../../lib/errors.ts";
import { createFakeClock, type FakeClock } from "../../lib/fake-clock.ts";
import type { ChannelEncoder, EncoderFactory, Stamp } from "../../protocol/encoder.ts";
import {
  type Control,
  type DirectHead,
  type EdgeToMain,
  RecordKind,
  type Rung,
  type TopicKey,
} from "../../ring/messages.ts";
import type { RecordFields, RingWriter } from "../../ring/ring.ts";
import { Engine, type EngineOptions } from "../engine.ts";

export interface Written {
  readonly kind: RecordKind;
  readonly fields: RecordFields;
  readonly text: string;
}

export class MemoryRing implements RingWriter {
  readonly records: Written[] = [];
  readonly recordBytesMax = 1 << 20;
  readonly capacityBytes = 8 << 20;
  written = 0;
  lag = 0;
  wakes = 0;
  /** Payloads that this ring refuses. */
  tooBig: (text: string) => boolean = () => false;
  write(kind: RecordKind, fields: RecordFields, text: string): void {
    if (this.tooBig(text)) throw new GatewayError("RING_RECORD_TOO_BIG", "too big for this ring");
    this.records.push({ kind, fields, text });
    this.written += text.length;
  }
  notify(): void {
    this.wakes++;
  }
  lagBytes(): number {
    return this.lag;
  }
}

/** Frames as JSON: {type, prev, from, seq, epoch, ...}. */
export const plainEncoder: EncoderFactory = (_channel, form) => {
  const say = (type: string, at: Stamp | null, data: unknown): string[] => [
    JSON.stringify({ type, ...(at ? { prev: at.prev, from: at.from, seq: at.seq, epoch: at.epoch } : {}), data }),
  ];
  const wordless = form.dialect === "binance";
  const encoder: ChannelEncoder = {
    delta: (at, depth) => say("delta", at, depth),
    snapshot: (at, book, repair) => {
      if (wordless) return repair ? say("delta", at, repair) : [];
      return say("snapshot", at, book);
    },
    value: (at, value, top) => say("value", at, top ? { value, top } : value),
    items: (at, items) => (wordless ? items.flatMap((item) => say("item", at, item)) : say("items", at, items)),
    candles: (at, candles) => say("candles", at, candles),
    gap: (at, gap) => (wordless ? [] : say("gap", at, gap)),
    stale: () => (wordless ? [] : say("stale", null, null)),
  };
  return encoder;
};

const channel = (
  name: string,
  kind: Channel["kind"],
  family: Channel["family"],
  more: Partial<Channel> = {},
): Channel => ({
  name,
  market: "spot",
  symbol: "btcusdt",
  stream: name.split("@")[1] ?? name,
  kind,
  family,
  interval: "",
  levels: 0,
  derivedFrom: "",
  instrument: null,
  ...more,
});

export const CHANNELS: Record<string, Channel> = {
  "btcusdt@depth": channel("btcusdt@depth", "depth", "book"),
  "btcusdt@trade": channel("btcusdt@trade", "trade", "items"),
  "btcusdt@ticker": channel("btcusdt@ticker", "ticker", "value"),
  "btcusdt@kline_1m": channel("btcusdt@kline_1m", "kline", "candles", { interval: "1m" }),
  "btcusdt@bookTicker": channel("btcusdt@bookTicker", "bookTicker", "value", { derivedFrom: "btcusdt@depth" }),
  "btcusdt@depth5": channel("btcusdt@depth5", "partialDepth", "value", { derivedFrom: "btcusdt@depth", levels: 5 }),
};

export interface Frame {
  readonly type: string;
  readonly prev: number | null;
  readonly from: number;
  readonly seq: number;
  readonly epoch: string | null;
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into whatever the encoder was given
  readonly data: any;
}

export class Rig {
  readonly ring = new MemoryRing();
  readonly clock: FakeClock = createFakeClock(1_795_321_300_000_000);
  readonly consumers = new Map<string, ChannelConsumer>();
  readonly engine: Engine;
  header: ShardHeader = { version: 1, shard: "s", token: 1, epoch: "e1" };
  #request = 0;
  #last = new Map<string, number | null>();

  constructor(options: Pick<EngineOptions, "historyOf" | "historyTotalMax" | "paceOf"> = {}) {
    const catalog: Catalog = { resolve: (name) => CHANNELS[name] ?? null };
    const follower = {
      follow: (name: string, consumer: ChannelConsumer) => {
        this.consumers.set(name, consumer);
        return { close: () => void this.consumers.delete(name) };
      },
    };
    const encoders = { native: plainEncoder, binance: plainEncoder };
    this.engine = new Engine({ ring: this.ring, clock: this.clock, catalog, follower, encoders, ...options });
  }

  /** Sends a join; returns its request number. */
  join(
    name: string,
    rung: Rung = 0,
    dialect: TopicKey["dialect"] = "native",
    more: { since?: { epoch: string; seq: number }; worker?: number } = {},
  ): number {
    const request = ++this.#request;
    const key: TopicKey = { channel: name, rung, dialect, timeUnit: "ms" };
    this.engine.handle(more.worker ?? 0, { is: "join", request, key, since: more.since ?? null });
    return request;
  }

  tell(message: EdgeToMain, worker = 0): void {
    this.engine.handle(worker, message);
  }

  /** The follower answers with the owner's state. */
  ready(name: string, reply: Partial<StateReply> = {}, cause: "first" | "epoch" | "heal" = "first"): void {
    const full: StateReply = {
      ...this.header,
      channel: name,
      user: "",
      seq: null,
      provides: [],
      after: null,
      state: null,
      time: 1000,
      history: [],
      stale: false,
      ...reply,
    };
    this.#last.set(name, full.seq);
    this.consumers.get(name)!.state(full, cause);
  }

  /** The next publication of a channel. */
  publish(name: string, seq: number, body: Body, prev = this.#last.get(name) ?? null, receivedUs = 1): void {
    const p: Publication = {
      ...body,
      channel: name,
      kind: CHANNELS[name]!.kind,
      user: "",
      time: seq * 10,
      seq,
      prev,
      receivedUs,
    };
    this.#last.set(name, seq);
    this.consumers.get(name)!.publication(p, this.header);
  }

  depth(
    name: string,
    seq: number,
    bids: [string, string][],
    asks: [string, string][] = [],
    type: "delta" | "snapshot" = "delta",
  ): void {
    const data: Depth = { bids, asks };
    this.publish(name, seq, { type, data });
  }

  topic(name: string, rung: Rung, dialect: TopicKey["dialect"] = "native"): number {
    const found = this.ring.records.findLast((r) => {
      if (r.kind !== RecordKind.ANNOUNCE) return false;
      const info = JSON.parse(r.text);
      return info.channel === name && info.rung === rung && info.dialect === dialect;
    });
    if (found?.fields.topic === undefined) throw new Error(`no topic for ${name} ${rung} ${dialect}`);
    return found.fields.topic;
  }

  /** Frames published on a topic so far. */
  frames(topic: number): Frame[] {
    return this.ring.records
      .filter((r) => r.kind === RecordKind.PUBLISH && r.fields.topic === topic)
      .flatMap((r) => r.text.split("\n").map((line) => JSON.parse(line) as Frame));
  }

  /** The answer to a request: head and frames. */
  answer(request: number): { head: DirectHead; frames: Frame[]; topic: number } | null {
    const found = this.ring.records.findLast((r) => r.kind === RecordKind.DIRECT && r.fields.request === request);
    if (!found) return null;
    const [head, ...frames] = found.text.split("\n").map((line) => JSON.parse(line));
    return { head, frames, topic: found.fields.topic ?? 0 };
  }

  answers(request: number): DirectHead[] {
    return this.ring.records
      .filter((r) => r.kind === RecordKind.DIRECT && r.fields.request === request)
      .map((r) => JSON.parse(r.text.split("\n")[0]!) as DirectHead);
  }

  controls(): Control[] {
    return this.ring.records.filter((r) => r.kind === RecordKind.CONTROL).map((r) => JSON.parse(r.text) as Control);
  }

  ticks(): number[] {
    return this.ring.records.filter((r) => r.kind === RecordKind.TICK).map((r) => r.fields.topic ?? 0);
  }
}
