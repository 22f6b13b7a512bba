/** What ingest's tests share: a bus that records, sources and logs that do as told, and a shard around them. */
import type { Bus, BusMessage, Head, ShardHeader, StateHandler, StateReply, StateRequest } from "../../bus/bus.ts";
import { InstrumentRegistry } from "../../channel/registry.ts";
import type { Kind, Publication, Trade } from "../../channel/types.ts";
import { createFakeClock, type FakeClock } from "../../lib/fake-clock.ts";
import { type CheckpointStore, MemoryCheckpoints } from "../checkpoint.ts";
import type { MappedUpdate, Mapper } from "../mapper/mapper.ts";
import { ChannelOwners } from "../owners.ts";
import type { IngestLog } from "../sampled-log.ts";
import { Shard, type ShardOptions } from "../shard.ts";
import type { RecordSink, Source, SourceRecord, SourceState, SourceStatus } from "../source.ts";

/** Keeps everything the owner says. */
export class RecordingBus implements Bus {
  readonly published: { header: ShardHeader; topic: string; publication: Publication }[] = [];
  readonly headed: Head[] = [];
  readonly serving = new Map<string, StateHandler>();
  wants: (topic: string) => boolean = () => true;

  publish(header: ShardHeader, topic: string, publication: Publication): void {
    this.published.push({ header, topic, publication });
  }

  wanted(topic: string): boolean {
    return this.wants(topic);
  }

  head(head: Head): void {
    this.headed.push(head);
  }

  serve(shard: string, answer: StateHandler) {
    this.serving.set(shard, answer);
    return { close: () => void this.serving.delete(shard) };
  }

  subscribe(_topic: string, _receive: (message: BusMessage) => void): never {
    throw new Error("an owner does not subscribe");
  }

  heads(): never {
    throw new Error("an owner does not listen to HEADs");
  }

  request(request: StateRequest): Promise<StateReply | null> {
    for (const answer of this.serving.values()) {
      const reply = answer(request);
      if (reply !== null) return Promise.resolve(reply);
    }
    return Promise.resolve(null);
  }

  headOf(): never {
    throw new Error("an owner does not ask for HEADs");
  }

  flushed(): Promise<void> {
    return Promise.resolve();
  }

  state() {
    return { name: "connected" } as const;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** Publications of one channel, in order. */
  of(channel: string): Publication[] {
    return this.published.map((one) => one.publication).filter((publication) => publication.channel === channel);
  }
}

/** Mapper for records that are our own updates already; anything else is malformed. */
export const updatesMapper = (checksumOf?: Mapper["checksumOf"]): Mapper => ({
  name: "updates",
  version: 1,
  map: (value) => (Array.isArray(value) ? (value as MappedUpdate[]) : { malformed: "not updates" }),
  ...(checksumOf === undefined ? {} : { checksumOf }),
});

type Distribute<T> = T extends unknown ? Omit<T, "offset" | "receivedUs"> : never;
export type Step = Distribute<SourceRecord>;

/** Records to be replayed: offsets from 0, receipt 1 ms apart. */
export function recordsOf(steps: readonly Step[]): SourceRecord[] {
  return steps.map((step, offset) => ({ ...step, offset, receivedUs: RECEIVED_US + offset * 1000 }) as SourceRecord);
}

const RECEIVED_US = 1_767_225_600_000_000;

/** A source over a list; it stays connected after the last record until it is stopped. */
export class ListSource implements Source {
  readonly name = "list";
  readonly replayable: boolean;
  readonly resyncs: string[] = [];
  readonly records: readonly SourceRecord[];
  /** Settles when the list is through. */
  readonly through: Promise<void>;
  readonly #through = Promise.withResolvers<void>();
  state: SourceState = { name: "idle" };
  sink: RecordSink | null = null;
  from: number | null | undefined;

  constructor(records: readonly SourceRecord[], replayable = true) {
    this.records = records;
    this.replayable = replayable;
    this.through = this.#through.promise;
  }

  async run(sink: RecordSink, from: number | null, signal: AbortSignal): Promise<void> {
    this.sink = sink;
    this.from = from;
    this.state = { name: "connected" };
    for (const record of this.records) {
      if (from !== null && record.offset <= from) continue;
      const busy = sink.busy();
      if (busy !== null) await busy;
      if (signal.aborted) break;
      sink.accept(record);
    }
    this.#through.resolve();
    if (!signal.aborted) {
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
    }
    this.state = { name: "idle" };
  }

  resync(channel: string): void {
    this.resyncs.push(channel);
  }

  status(): SourceStatus {
    return { state: this.state, lagMs: null, records: this.records.length, reconnects: 0 };
  }
}

export class RecordingLog implements IngestLog {
  readonly lines: { level: string; message: string; fields: unknown }[] = [];

  info(message: string, fields?: unknown): void {
    this.lines.push({ level: "info", message, fields });
  }

  warn(message: string, fields?: unknown): void {
    this.lines.push({ level: "warn", message, fields });
  }

  error(message: string, fields?: unknown): void {
    this.lines.push({ level: "error", message, fields });
  }
}

export interface Rig {
  readonly shard: Shard;
  readonly bus: RecordingBus;
  readonly source: ListSource;
  readonly clock: FakeClock;
  readonly registry: InstrumentRegistry;
  readonly log: RecordingLog;
}

export interface RigOptions {
  readonly replayable?: boolean;
  readonly mapper?: Mapper;
  readonly provides?: readonly Kind[];
  readonly checkpoints?: CheckpointStore;
  readonly wants?: (topic: string) => boolean;
  readonly more?: Partial<ShardOptions>;
}

/** A registry that knows btcusdt, ethusdt (spot), usdm:btcusdt, `balance` and `c0`. */
export function testRegistry(): InstrumentRegistry {
  const registry = new InstrumentRegistry();
  for (const [market, base] of [
    ["spot", "BTC"],
    ["spot", "ETH"],
    ["usdm", "BTC"],
  ] as const) {
    const spelling = `${base}/USDT`;
    registry.add({ market, spelling, base, quote: "USDT", tick: "0.01", lot: "0.001", status: "trading" });
  }
  registry.addTopic("balance");
  registry.addTopic("c0");
  return registry;
}

export function rig(records: readonly SourceRecord[], options: RigOptions = {}): Rig {
  const bus = new RecordingBus();
  bus.wants = options.wants ?? bus.wants;
  const source = new ListSource(records, options.replayable);
  const clock = createFakeClock();
  const registry = testRegistry();
  const log = new RecordingLog();
  let epochs = 0;
  const shard = new Shard({
    id: "shard-1",
    source,
    mapper: options.mapper ?? updatesMapper(),
    bus,
    catalog: registry,
    owners: new ChannelOwners(),
    checkpoints: options.checkpoints ?? new MemoryCheckpoints(),
    clock,
    topicOf: (channel) => `fanout.${channel}`,
    provides: options.provides ?? [],
    log,
    randomId: () => `epoch-${++epochs}`,
    ...options.more,
  });
  return { shard, bus, source, clock, registry, log };
}

/** Runs the records through a shard and stops it. */
export async function runThrough(records: readonly SourceRecord[], options: RigOptions = {}): Promise<Rig> {
  const one = rig(records, options);
  await one.shard.start();
  await one.source.through;
  await one.shard.stop();
  return one;
}

// --- updates ------------------------------------------------------------------------------------------------------

export const data = (...updates: MappedUpdate[]): Step => ({ type: "data", value: updates });

type BookFields = Partial<Pick<MappedUpdate, "window" | "checksum">> & { readonly channel?: string };
type Sides = { readonly bids?: [string, string][]; readonly asks?: [string, string][] };

function book(type: "snapshot" | "delta", time: number, { bids = [], asks = [] }: Sides, fields: BookFields = {}) {
  const update = { channel: "btcusdt@depth", kind: "depth", user: "", time, type, data: { bids, asks }, ...fields };
  return update as MappedUpdate;
}

export const snapshot = (time: number, sides: Sides, fields?: BookFields) => book("snapshot", time, sides, fields);
export const delta = (time: number, sides: Sides, fields?: BookFields) => book("delta", time, sides, fields);

export const trade = (time: number, price: string, quantity: string, more: Partial<Trade> = {}): Trade => ({
  id: "",
  t: -1,
  price,
  quantity,
  side: "buy",
  time,
  ...more,
});

export const trades = (list: readonly Trade[], channel = "btcusdt@trade"): MappedUpdate => ({
  channel,
  kind: "trade",
  user: "",
  time: Math.max(...list.map((one) => one.time)),
  type: "items",
  data: list,
});

export const json = (time: number, text: string): MappedUpdate => ({
  channel: "c0",
  kind: "json",
  user: "",
  time,
  type: "value",
  data: { json: text },
});

export const balance = (time: number, user: string, text: string): MappedUpdate => ({
  channel: "balance",
  kind: "private",
  user,
  time,
  type: "items",
  data: [{ json: text }],
});
