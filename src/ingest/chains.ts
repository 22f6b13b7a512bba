/**
 * The chains of one shard: made when a channel is first fed, reset by an epoch, saved and restored with the checkpoint.
 *
 * Invariants: a chain is made only for a known channel that no other shard of the node feeds; the order of making is the
 * order of walking. At the limit: more than CHAINS_MAX chains are refused.
 */
import type { Catalog, Channel } from "../channel/channel.ts";
import type { Instrument } from "../channel/instruments.ts";
import { channelName } from "../channel/name.ts";
import { type BookEvents, BookKeeper } from "./book-keeper.ts";
import { Chain, chainKey, type Keeper } from "./chain.ts";
import type { SavedChain, SavedChains } from "./checkpoint.ts";
import { TradeIds } from "./derive/trade-ids.ts";
import type { HistoryOf } from "./history.ts";
import { CandlesKeeper, ItemsKeeper, ValueKeeper } from "./keepers.ts";
import type { ChannelOwners } from "./owners.ts";

export const CHAINS_MAX = 1_000_000;

/** What ingest needs of the instruments registry. */
export interface IngestCatalog extends Catalog {
  readonly defaultMarket: string;
  /** Rises whenever an instrument is added or changes. */
  readonly changes: number;
  find(market: string, symbol: string): Instrument | null;
  add(instrument: Instrument): Instrument;
  seen(market: string, symbol: string, priceDecimals: number, quantityDecimals: number): void;
}

export interface ChainsPorts {
  readonly shard: string;
  readonly catalog: IngestCatalog;
  readonly owners: ChannelOwners;
  /** Fanout topic of a channel; '' is the user of public ones. */
  readonly topicOf: (channel: string, user: string) => string;
  readonly bookEvents: (channel: Channel) => BookEvents;
  /** An update that a keeper could not take. */
  readonly malformed: (reason: string, channel: string) => void;
  /** Bounds of the histories of items and books. */
  readonly historyOf?: HistoryOf;
}

export class Chains {
  readonly #ports: ChainsPorts;
  readonly #chains = new Map<string, Chain>();
  #tradeIds = new TradeIds();
  #base = 0;

  constructor(ports: ChainsPorts) {
    this.#ports = ports;
  }

  get size(): number {
    return this.#chains.size;
  }

  find(channel: string, user: string): Chain | null {
    return this.#chains.get(chainKey(channel, user)) ?? null;
  }

  all(): IterableIterator<Chain> {
    return this.#chains.values();
  }

  /** How many of them are books. */
  get books(): number {
    let books = 0;
    for (const chain of this.#chains.values()) if (chain.channel.family === "book") books++;
    return books;
  }

  /** Channels of the books that are not to be trusted. */
  staleBooks(): string[] {
    const stale: string[] = [];
    for (const chain of this.#chains.values()) if (chain.keeper.stale) stale.push(chain.channel.name);
    return stale;
  }

  /** The chain of a channel, made if need be; null if another shard feeds it or there are too many. */
  open(channel: Channel, user: string): Chain | null {
    const key = chainKey(channel.name, user);
    const known = this.#chains.get(key);
    if (known !== undefined) return known;
    const { owners, shard, topicOf } = this.#ports;
    if (this.#chains.size >= CHAINS_MAX || !owners.claim(key, shard)) return null;
    const chain = new Chain(channel, user, topicOf(channel.name, user), this.#keeperOf(channel));
    this.#chains.set(key, chain);
    return chain;
  }

  /** The chain of a channel derived here, with the keeper that derivation made for it. */
  openDerived(market: string, symbol: string, stream: string, keeper: Keeper): Chain | null {
    const { catalog } = this.#ports;
    const channel = catalog.resolve(channelName(market, symbol, stream, catalog.defaultMarket));
    const chain = channel === null ? null : this.open(channel, "");
    if (chain !== null) chain.keeper = keeper;
    return chain;
  }

  /** A new epoch: all begin again, none is forgotten. */
  reset(base: number): void {
    this.#base = base;
    this.#tradeIds = new TradeIds();
    for (const chain of this.#chains.values()) {
      chain.lastSeq = null;
      chain.keeper = this.#keeperOf(chain.channel);
    }
  }

  /** The channels may be fed by other shards from now on: all are given up. */
  giveUp(): void {
    this.#chains.clear();
    this.#ports.owners.release(this.#ports.shard);
  }

  /** Keeper of items whose trades without a number are counted from the epoch's base. */
  itemsKeeper(channel: string): ItemsKeeper {
    const { malformed, historyOf } = this.#ports;
    const limits = historyOf?.(channel) ?? {};
    return new ItemsKeeper(this.#tradeIds, this.#base, (reason) => malformed(reason, channel), limits);
  }

  save(): SavedChains {
    const { catalog } = this.#ports;
    const channels: Record<string, SavedChain> = {};
    const instruments = new Set<Instrument>();
    for (const { key, channel, user, lastSeq, time, receivedUs, keeper } of this.#chains.values()) {
      channels[key] = { channel: channel.name, user, lastSeq, time, receivedUs, state: keeper.save() };
      const instrument = catalog.find(channel.market, channel.symbol);
      if (instrument !== null) instruments.add(instrument);
    }
    return { channels, instruments: [...instruments], tradeIds: this.#tradeIds.mode };
  }

  /** Makes learned instruments known again, before anything is opened. */
  restoreInstruments(instruments: readonly Instrument[]): void {
    const { catalog } = this.#ports;
    for (const one of instruments) if (catalog.find(one.market, one.symbol) === null) catalog.add(one);
  }

  /**
   * Goes on from saved chains, in the order they were made; `derive` gives the derived ones their keepers in between.
   * Returns the names of those that cannot be opened any more.
   */
  restore(saved: SavedChains, derive: () => void): string[] {
    const opened: [Chain, SavedChain][] = [];
    const lost: string[] = [];
    for (const one of Object.values(saved.channels)) {
      const channel = this.#ports.catalog.resolve(one.channel);
      const chain = channel === null ? null : this.open(channel, one.user);
      if (chain === null) lost.push(one.channel);
      else opened.push([chain, one]);
    }
    this.#tradeIds.mode = saved.tradeIds;
    derive();
    for (const [chain, one] of opened) {
      chain.lastSeq = one.lastSeq;
      chain.time = one.time;
      chain.receivedUs = one.receivedUs;
      restoreKeeper(chain.keeper, one);
    }
    return lost;
  }

  /** Books of an epoch before, of which the next one's go on. */
  seedBooks(saved: SavedChains): void {
    for (const { channel: name, user, state } of Object.values(saved.channels)) {
      const channel = state.form === "book" ? this.#ports.catalog.resolve(name) : null;
      const keeper = channel === null ? undefined : this.open(channel, user)?.keeper;
      if (keeper instanceof BookKeeper && state.form === "book") keeper.seed(state);
    }
  }

  #keeperOf(channel: Channel): Keeper {
    switch (channel.family) {
      case "book":
        return new BookKeeper(this.#ports.bookEvents(channel), this.#ports.historyOf?.(channel.name) ?? {});
      case "items":
        return this.itemsKeeper(channel.name);
      case "candles":
        return new CandlesKeeper();
      case "value":
        return new ValueKeeper();
    }
  }
}

/** A state of another form than its channel has now (a topic changed its family) is left out. */
function restoreKeeper(keeper: Keeper, { state }: SavedChain): void {
  if (keeper instanceof BookKeeper && state.form === "book") keeper.restore(state);
  else if (keeper instanceof ItemsKeeper && state.form === "items") keeper.restore(state);
  else if (keeper instanceof ValueKeeper && state.form === "value") keeper.restore(state);
  else if (keeper instanceof CandlesKeeper && state.form === "candles") keeper.restore(state);
}
