/**
 * The instruments of a shard's channels, each with the number of its last change, for nodes that did not learn them
 * themselves.
 *
 * Beside the path: chains -> INSTRUMENT TABLE -> the number in each HEAD, and the answers to those who know less.
 * Invariants: numbers rise by one per change and begin anew with each owner (its token says which); looking costs nothing
 * while neither an instrument nor the number of chains has changed. At the limit: ANSWER_MAX instruments a reply.
 */
import { instrumentsOf, type ShardHeader, type StateReply } from "../bus/bus.ts";
import type { Instrument } from "../channel/instruments.ts";
import type { Position } from "../channel/types.ts";
import type { Chains, IngestCatalog } from "./chains.ts";

const ANSWER_MAX = 1000;

interface Told {
  readonly instrument: Instrument;
  readonly number: number;
}

export class InstrumentTable {
  readonly #chains: Chains;
  readonly #catalog: IngestCatalog;
  /** By market and symbol, oldest change first. */
  readonly #told = new Map<string, Told>();
  #number = 0;
  /** As of the last look. */
  #seen = { changes: -1, chains: -1 };

  constructor(chains: Chains, catalog: IngestCatalog) {
    this.#chains = chains;
    this.#catalog = catalog;
  }

  /** Number of the newest change; 0 if there are no instruments. */
  look(): number {
    const { changes } = this.#catalog;
    const chains = this.#chains.size;
    if (changes === this.#seen.changes && chains === this.#seen.chains) return this.#number;
    this.#seen = { changes, chains };
    for (const { channel } of this.#chains.all()) {
      if (channel.instrument === null) continue;
      const instrument = this.#catalog.find(channel.market, channel.symbol);
      if (instrument !== null) this.#take(instrument);
    }
    return this.#number;
  }

  /** As of the last look, which each HEAD is. */
  has(market: string, symbol: string): boolean {
    return this.#told.has(`${market}:${symbol}`);
  }

  answer(since: Position | null, header: ShardHeader): StateReply {
    this.look();
    const from = since !== null && since.epoch === String(header.token) ? since.seq : 0;
    const news = [...this.#told.values()].filter(({ number }) => number > from).slice(0, ANSWER_MAX);
    return {
      ...header,
      channel: instrumentsOf(header.shard),
      user: "",
      seq: news.at(-1)?.number ?? this.#number,
      provides: [],
      after: null,
      state: { type: "items", data: news.map(({ instrument }) => ({ json: JSON.stringify(instrument) })) },
      time: 0,
      history: [],
      stale: false,
    };
  }

  #take(instrument: Instrument): void {
    const key = `${instrument.market}:${instrument.symbol}`;
    if (this.#told.get(key)?.instrument === instrument) return;
    // Taken out first, so that it stands at the end.
    this.#told.delete(key);
    this.#told.set(key, { instrument, number: ++this.#number });
  }
}
