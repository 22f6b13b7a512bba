/**
 * The pipeline: the path of a record through its shard.
 *
 *     source -> mapper -> keeper (books verified, trades numbered) -> seq -> bus
 *                                       \-> derivation -> seq -> bus
 *
 * Invariants: synchronous; one record makes at most one publication per chain; numbers and state never depend on who
 * listens; no clock but for the log, so the same records from the same checkpoint give the same publications.
 * At the limit: what cannot go on is counted by reason, sampled into the log and skipped.
 */
import { BUS_VERSION, type Bus, type ShardHeader } from "../bus/bus.ts";
import type { Channel } from "../channel/channel.ts";
import { DERIVABLE } from "../channel/kinds.ts";
import { channelName } from "../channel/name.ts";
import type { Body, Kind, Trade } from "../channel/types.ts";
import type { Clock } from "../lib/clock.ts";
import type { BookEvents } from "./book-keeper.ts";
import type { Chain } from "./chain.ts";
import { Chains, type IngestCatalog } from "./chains.ts";
import { faultOf } from "./check-update.ts";
import type { SavedPipeline } from "./checkpoint.ts";
import { count, type ShardCounters } from "./counters.ts";
import { DecimalsSeen } from "./decimals-seen.ts";
import { Derivation, type Derived } from "./derive/derivation.ts";
import type { HistoryOf } from "./history.ts";
import { reasonOf } from "./mapper/blame.ts";
import type { Malformed, MappedUpdate, Mapper } from "./mapper/mapper.ts";
import { oneEach } from "./merge.ts";
import type { ChannelOwners } from "./owners.ts";
import { type IngestLog, SampledLog, sample } from "./sampled-log.ts";
import type { SourceRecord } from "./source.ts";
import { UnmatchedLog } from "./unmatched-log.ts";

export interface PipelineOptions {
  readonly shard: string;
  readonly mapper: Mapper;
  readonly catalog: IngestCatalog;
  readonly owners: ChannelOwners;
  readonly bus: Pick<Bus, "publish" | "wanted">;
  /** Fanout topic of a channel; '' is the user of public ones. */
  readonly topicOf: (channel: string, user: string) => string;
  /** Kinds that come from the source itself. */
  readonly provides: ReadonlySet<Kind>;
  readonly counters: ShardCounters;
  readonly log: IngestLog;
  readonly clock: Pick<Clock, "monotonicMs">;
  /** Asks the source for a snapshot of a book. */
  readonly resync: (channel: string) => void;
  /** It will give one; a replay cannot. */
  readonly repairable: boolean;
  /** An unreadable record may have been a change of any book, or the first snapshot of one. */
  readonly suspected: () => void;
  /** Takes the value of a record that is skipped because it cannot be read. */
  readonly deadLetter?: (value: unknown, reason: string) => void;
  /** A channel that another shard of the node feeds. */
  readonly contested?: (channel: string) => void;
  /** Bounds of the histories of items and books. */
  readonly historyOf?: HistoryOf;
}

/** Where a record stands. */
interface At {
  readonly seq: number;
  readonly receivedUs: number;
}

const NO_HEADER: ShardHeader = { version: BUS_VERSION, shard: "", token: 0, epoch: "" };
const NO_UPDATES: readonly MappedUpdate[] = [];

export class Pipeline {
  readonly chains: Chains;
  readonly #options: PipelineOptions;
  readonly #log: SampledLog;
  readonly #unmatched: UnmatchedLog;
  readonly #decimals: DecimalsSeen;
  readonly #derivedKinds: ReadonlySet<Kind>;
  #derivation: Derivation;
  #header: ShardHeader = NO_HEADER;
  /** Chains published on since the last HEAD. */
  #changed: Chain[] = [];
  #timeNewest = 0;
  /** Newest time that the source itself gave. */
  #sourceTime = 0;
  /** Chains that hold items back behind a gap. */
  #owing: Chain[] = [];

  /** `begin` comes before the first record. */
  constructor(options: PipelineOptions) {
    this.#options = options;
    this.#log = new SampledLog(options.log, options.clock);
    this.#unmatched = new UnmatchedLog(options.log, options.shard);
    this.#decimals = new DecimalsSeen((...seen) => options.catalog.seen(...seen));
    this.#derivedKinds = new Set([...DERIVABLE].filter((kind) => !options.provides.has(kind)));
    const bookEvents = (channel: Channel): BookEvents => this.#bookEvents(channel);
    const malformed = (reason: string, channel: string) => this.#malformed(reason, () => ({ channel }));
    this.chains = new Chains({ ...options, bookEvents, malformed });
    this.#derivation = this.#newDerivation();
  }

  /** The path of one record, numbered `seq`. */
  process(record: SourceRecord, seq: number): void {
    const at = { seq, receivedUs: record.receivedUs };
    if (record.type !== "data") {
      this.#control(record, at);
      return;
    }
    for (const update of this.#map(record, at)) {
      const chain = this.#chainOf(update);
      if (chain === null) continue;
      // Some messages have no time of their own: it is that of the newest that had one.
      if (update.time > this.#sourceTime) this.#sourceTime = update.time;
      const time = update.time === 0 ? this.#sourceTime : update.time;
      if (time > 0) this.#derivation.seen(time);
      const body = chain.keeper.take(update, seq);
      if (body !== null) this.#publishBody(chain, at, time, body);
    }
    if (this.#owing.length > 0) this.#pay(at);
  }

  /**
   * A new epoch: numbers, books, values, candles and histories begin again; the chains stay known. Trades without a
   * number are counted from `base`.
   */
  begin(header: ShardHeader, base: number): void {
    this.#header = header;
    this.chains.reset(base);
    this.#derivation = this.#newDerivation();
    this.#owing = [];
    this.#sourceTime = 0;
  }

  /** Forgets all chains, before a new epoch in which they may belong to other shards. */
  giveUp(): void {
    this.chains.giveUp();
    this.#changed = [];
  }

  /** Newest source time seen, ms; 0 if none. */
  get timeNewest(): number {
    return this.#timeNewest;
  }

  /** The chains published on since it was asked last. */
  takeChanged(): readonly Chain[] {
    const changed = this.#changed;
    this.#changed = [];
    for (const chain of changed) chain.changed = false;
    return changed;
  }

  save(): SavedPipeline {
    return { ...this.chains.save(), derivation: this.#derivation.save(), sourceTime: this.#sourceTime };
  }

  /** Goes on from a checkpoint; only once, before the first record. */
  restore(saved: SavedPipeline): void {
    this.chains.restoreInstruments(saved.instruments);
    const lost = this.chains.restore(saved, () => this.#derivation.restore(saved.derivation));
    this.#sourceTime = saved.sourceTime;
    for (const chain of this.chains.all()) {
      if (chain.time > this.#timeNewest) this.#timeNewest = chain.time;
      if (chain.keeper.owes === true) this.#owing.push(chain);
    }
    for (const channel of lost) this.#refuse("not restored", channel);
  }

  /** A new epoch goes on where another one ended: books have their levels from there, all else begins anew. */
  seed(saved: SavedPipeline): void {
    this.chains.restoreInstruments(saved.instruments);
    this.chains.seedBooks(saved);
    this.#sourceTime = saved.sourceTime;
  }

  // --- source -> mapper -> keeper -------------------------------------------------------------------------------

  #map({ value, offset }: Extract<SourceRecord, { type: "data" }>, at: At): readonly MappedUpdate[] {
    const { mapper, counters } = this.#options;
    let mapped: ReturnType<Mapper["map"]>;
    try {
      mapped = mapper.map(value);
    } catch (error) {
      this.#malformed("mapper failed", () => ({ offset, record: sample(value), error }));
      this.#options.deadLetter?.(value, "mapper failed");
      return NO_UPDATES;
    }
    if ("malformed" in mapped) {
      this.#malformed(mapped.malformed, () => ({ offset, why: reasonOf(mapped), record: sample(value) }));
      this.#options.deadLetter?.(value, reasonOf(mapped));
      if (this.#options.repairable) this.#told(mapped, at);
      return NO_UPDATES;
    }
    if ("skipped" in mapped) {
      count(counters.refused, mapped.skipped);
      if (mapped.skipped === "unmatched") this.#unmatched.tell(mapped, value);
      return NO_UPDATES;
    }
    return oneEach(mapped, () => {
      counters.merged++;
      this.#log.warn("two updates of one channel in a record", () => ({ record: sample(value) }));
    });
  }

  /** The chain an update belongs to; null if it may not go on. */
  #chainOf(update: MappedUpdate): Chain | null {
    const known = this.chains.find(update.channel, update.user);
    const channel = known?.channel ?? this.#options.catalog.resolve(update.channel);
    if (channel === null || channel.name !== update.channel) return this.#refuse("unknown channel", update.channel);
    if (this.#derivedKinds.has(channel.kind)) return this.#refuse("not provided", update.channel);
    const fault = faultOf(update, channel);
    if (fault !== null) return this.#malformed(fault, () => ({ channel: update.channel }));
    return known ?? this.chains.open(channel, update.user) ?? this.#contest(update.channel);
  }

  // --- seq -> bus -----------------------------------------------------------------------------------------------

  #publish(chain: Chain, at: At, time: number, body: Body): void {
    const prev = this.#advance(chain, at, time);
    const wanted = this.#options.bus.wanted(chain.topic);
    if (wanted || chain.keeper.remembers) this.#hand(chain, body, prev, wanted);
  }

  #publishBody(chain: Chain, at: At, time: number, body: Body): void {
    if (chain.infers) this.#infer(chain, body);
    this.#publish(chain, at, time, body);
    if (chain.keeper.owes === true) this.#owing.push(chain);
    if (chain.channel.kind !== "trade") return;
    if (body.type === "items") {
      const trades = body.data as readonly Trade[];
      this.#publishDerived(this.#derivation.trades(chain.channel, trades, at.seq), at, time);
    } else if (body.type === "gap") {
      this.#publishDerived(this.#derivation.gap(chain.channel), at, time);
      this.#gapOfAggTrades(chain.channel, at, time);
    }
  }

  /** What is made of trades one by one misses them too. */
  #gapOfAggTrades({ market, symbol }: Channel, at: At, time: number): void {
    if (!this.#derivedKinds.has("aggTrade")) return;
    const chain = this.chains.find(channelName(market, symbol, "aggTrade", this.#options.catalog.defaultMarket), "");
    const body = (chain?.lastSeq ?? null) === null ? null : chain?.keeper.lost();
    if (chain && body) this.#publish(chain, at, time, body);
  }

  /** Publishes the items that a gap came before, with the first record behind that of the gap. */
  #pay(at: At): void {
    const due = this.#owing.filter((chain) => chain.lastSeq !== at.seq);
    if (due.length === 0) return;
    this.#owing = this.#owing.filter((chain) => chain.lastSeq === at.seq && chain.keeper.owes === true);
    for (const chain of due) {
      const body = chain.keeper.pay?.() ?? null;
      if (body !== null) this.#publishBody(chain, at, chain.time, body);
    }
  }

  #publishDerived(changed: readonly Derived[], at: At, time: number): void {
    for (let i = 0; i < changed.length; i++) {
      const { chain, stream } = changed[i] as Derived;
      const prev = this.#advance(chain, at, time);
      const wanted = this.#options.bus.wanted(chain.topic);
      if (wanted || chain.keeper.remembers) this.#hand(chain, stream.change(), prev, wanted);
    }
  }

  /** The chain's numbers go on, whether anybody listens or not; returns the seq before. */
  #advance(chain: Chain, at: At, time: number): number | null {
    const prev = chain.lastSeq;
    chain.lastSeq = at.seq;
    chain.time = time;
    chain.receivedUs = at.receivedUs;
    if (time > this.#timeNewest) this.#timeNewest = time;
    if (!chain.changed) {
      chain.changed = true;
      this.#changed.push(chain);
    }
    count(this.#options.counters.publications, chain.channel.kind);
    return prev;
  }

  #hand(chain: Chain, body: Body, prev: number | null, wanted: boolean): void {
    const publication = chain.publication(body, chain.lastSeq as number, prev);
    chain.keeper.remember(publication);
    if (wanted) this.#options.bus.publish(this.#header, chain.topic, publication);
  }

  // --- control records ------------------------------------------------------------------------------------------

  #control(record: Exclude<SourceRecord, { type: "data" }>, at: At): void {
    if (record.type === "clock") this.#publishDerived(this.#derivation.clock(record.time, at.seq), at, record.time);
    if (record.type === "lost") this.#lost(at);
  }

  /** The source's time as far as it is known, so that a replay says the same. */
  #nowOf(at: At): number {
    return this.#sourceTime === 0 ? Math.floor(at.receivedUs / 1000) : this.#sourceTime;
  }

  /** What is lost with a record that could not be used is told. */
  #told({ suspect, misses }: Malformed, at: At): void {
    if (suspect) this.#suspect(at);
    const chain = misses === undefined ? null : this.chains.find(misses, "");
    if (chain !== null && !suspect) this.#doubt(chain, at, this.#nowOf(at));
  }

  /** An item may be lost: a gap, unless the next one would show it. */
  #doubt(chain: Chain, at: At, time: number): void {
    if (chain.lastSeq === null || this.#derivedKinds.has(chain.channel.kind)) return;
    const gap = chain.keeper.doubted?.() ?? null;
    if (gap !== null) this.#publishBody(chain, at, time, gap);
  }

  /** A change of any book may be lost: none is to be trusted. So may an item that nothing else would show. */
  #suspect(at: At): void {
    this.#options.suspected();
    const time = this.#nowOf(at);
    for (const chain of [...this.chains.all()]) {
      const { channel, user } = chain;
      if (channel.family === "items") this.#doubt(chain, at, time);
      if (channel.family !== "book") continue;
      const stale = { channel: channel.name, kind: channel.kind, user, time, type: "stale", data: "sequence" } as const;
      const body = chain.keeper.take(stale, at.seq);
      if (body !== null) this.#publish(chain, at, time, body);
    }
  }

  /** Books are stale, lossless channels have a gap, open candles and windows are partial. */
  #lost(at: At): void {
    const time = this.#nowOf(at);
    this.#options.counters.losses++;
    for (const chain of this.chains.all()) {
      // Where nothing was published there is nothing to lose; but a book whose order was broken trusts a new connection.
      if (chain.lastSeq === null && chain.channel.family !== "book") continue;
      const body = chain.keeper.lost();
      if (body !== null) this.#publish(chain, at, time, body);
    }
    this.#publishDerived(this.#derivation.lost(), at, time);
  }

  // --- ports of the stages --------------------------------------------------------------------------------------

  #newDerivation(): Derivation {
    return new Derivation(this.#derivedKinds, {
      open: (market, symbol, stream, { keeper }) =>
        this.chains.openDerived(market, symbol, stream, keeper) ?? this.#contest(`${symbol}@${stream}`),
      itemsKeeper: (market, symbol) =>
        this.chains.itemsKeeper(channelName(market, symbol, "aggTrade", this.#options.catalog.defaultMarket)),
      late: () => {
        this.#options.counters.lateTrades++;
      },
    });
  }

  #bookEvents(channel: Channel): BookEvents {
    const { mapper, counters, catalog, resync, repairable } = this.#options;
    const { name, market, symbol } = channel;
    return {
      wrong: (cause) => {
        count(counters.resyncs, cause);
        this.#log.warn(`book is wrong: ${cause}`, () => ({ channel: name }));
        // After a reconnect the source sends snapshots by itself.
        if (cause !== "reconnect") resync(name);
      },
      partial: () => {
        counters.partialBooks++;
      },
      ignored: () => {
        counters.ignoredDeltas++;
      },
      refused: (reason) => this.#malformed(reason, () => ({ channel: name })),
      checksumOf: (book) => mapper.checksumOf?.(book) ?? null,
      repairable,
      isAuction: () => catalog.find(market, symbol)?.status === "auction",
    };
  }

  /** Prices and quantities of a learned instrument tell its tick and lot. */
  #infer(chain: Chain, body: Body): void {
    const { instrument, kind } = chain.channel;
    if (instrument !== null && (kind === "trade" || kind === "depth")) this.#decimals.look(instrument, body);
    else chain.infers = false;
  }

  #malformed(reason: string, fields: () => Readonly<Record<string, unknown>>): null {
    count(this.#options.counters.malformed, reason);
    this.#log.warn(`malformed: ${reason}`, () => ({ shard: this.#options.shard, ...fields() }));
    return null;
  }

  #contest(channel: string): null {
    this.#options.contested?.(channel);
    return this.#refuse("other shard", channel);
  }

  #refuse(reason: string, channel: string): null {
    count(this.#options.counters.refused, reason);
    this.#log.warn(`refused: ${reason}`, () => ({ channel }));
    return null;
  }
}
