/**
 * A shard: one source with its mapper, run by one owner.
 *
 * On the path: source -> SHARD (numbers, pipeline) -> bus. Beside it: HEADs, checkpoints, answers to state requests.
 * Invariants: `accept` is synchronous; no seq passes the stored ceiling; a replayable source goes on from its checkpoint
 * with the same epoch and numbers, any other begins a new epoch that rises; HEADs go out for as long as the shard is held,
 * also when the source is idle, ended or failed; once a newer owner's checkpoint is seen, nothing more is published.
 * While the checkpoint store is away a shard that starts waits for it, one that runs goes on under its stored ceiling.
 * At the limit: records that would pass the ceiling are held back until a higher one is stored (held-records.ts), and the
 * sink is busy meanwhile.
 */

import { randomUUID } from "node:crypto";
import { BUS_VERSION, instrumentsOf, type ShardHeader, type StateHandler, type Subscription } from "../bus/bus.ts";
import { type Timer, wallMs } from "../lib/clock.ts";
import { assert, GatewayError } from "../lib/errors.ts";
import { answer } from "./answer.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { Claim } from "./claim.ts";
import { count, shardCounters } from "./counters.ts";
import { HEAD_MS, Heads } from "./heads.ts";
import { HeldRecords } from "./held-records.ts";
import { InstrumentTable } from "./instrument-table.ts";
import { CEILING_STEP, freshBase, Numbering } from "./numbering.ts";
import { Pipeline } from "./pipeline.ts";
import { Resyncs } from "./resyncs.ts";
import { Saver } from "./saver.ts";
import type { ShardOptions, ShardStatus } from "./shard-options.ts";
import type { RecordSink, SourceRecord } from "./source.ts";
import { beginningOf, isOfAnother } from "./take-over.ts";

export type { ShardOptions, ShardStatus } from "./shard-options.ts";

const CHECKPOINT_MS = 1000;
const CHECKPOINT_RECORDS = 20_000;
/** An idle shard has nothing to save: so often it looks whether a newer owner has. */
const LOOK_MS = 2000;

export class Shard implements RecordSink {
  readonly id: string;
  readonly #options: ShardOptions;
  readonly #counters = shardCounters();
  readonly #abort = new AbortController();
  readonly #resyncs: Resyncs;
  readonly #saver: Saver;
  readonly #claim: Claim;
  readonly #heads: Heads;
  readonly #instruments: InstrumentTable;
  /** Books whose first snapshot may have been unreadable; a new connection sends all of them again. */
  readonly #doubted = new Set<string>();
  readonly #timers = new Map<string, Timer>();
  #serving: Subscription | null = null;
  #run: Promise<void> = Promise.resolve();
  #token = 0;
  readonly #owner: string;
  #numbering = new Numbering({ id: "", base: 0 });
  #pipeline: Pipeline;
  /** What is stored: no seq may pass it. */
  #ceiling = -1;
  /** Of the last record processed. */
  #position: string | null = null;
  /** That the offset and the position are of: behind the source's own while an epoch record is held. */
  #incarnation = "";
  readonly #held: HeldRecords;
  #recordsUnsaved = 0;
  /** The numbering is that of an owner before. */
  #continued = false;
  #started = false;
  #lost = false;
  #failure: string | null = null;

  constructor(options: ShardOptions) {
    const { id, source, mapper, bus, catalog, owners, topicOf, provides, log, clock, checkpoints } = options;
    this.id = id;
    this.#options = options;
    this.#owner = options.owner ?? randomUUID();
    this.#held = new HeldRecords(id);
    this.#resyncs = new Resyncs(source, clock);
    this.#pipeline = new Pipeline({
      ...{ shard: id, mapper, catalog, owners, bus, topicOf, log, clock },
      provides: new Set(provides),
      counters: this.#counters,
      resync: (channel) => this.#resyncs.ask(channel),
      deadLetter: (value, reason) => source.deadLetter?.(value, reason),
      contested: (channel) => source.contested?.(channel),
      suspected: () => {
        for (const channel of source.books ?? []) if (this.#isAbsent(channel)) this.#doubted.add(channel);
      },
      repairable: source.repairs ?? (source.resync !== undefined && !source.replayable),
      ...(options.historyOf === undefined ? {} : { historyOf: options.historyOf }),
    });
    this.#saver = new Saver({
      ...{ shard: id, store: checkpoints },
      // A claim is made before anything was published.
      flushed: () => (this.#claim.made ? bus.flushed() : Promise.resolve()),
      cut: () => this.#cut(),
      stored: (checkpoint) => this.#stored(checkpoint),
      refused: () => this.#claim.refused(),
    });
    this.#claim = new Claim({
      ...{ shard: id, store: checkpoints, saver: this.#saver, clock, signal: this.#abort.signal },
      leased: options.token !== undefined,
      takeOver: (checkpoint) => this.#takeOver(checkpoint),
      mine: () => ({ token: this.#token, owner: this.#owner }),
      lost: () => this.#lose(),
    });
    this.#instruments = new InstrumentTable(this.#pipeline.chains, catalog);
    this.#heads = new Heads({
      bus,
      header: () => this.#header(),
      offset: () => this.#numbering.offset,
      source: () => source.status().state.name,
      provides,
      changed: () => this.#pipeline.takeChanged(),
      all: () => this.#pipeline.chains.all(),
      instruments: () => this.#instruments.look(),
    });
  }

  /** Takes the shard over and starts its source. Settles once records may flow. */
  async start(): Promise<void> {
    assert(!this.#started, "a shard is started once");
    this.#started = true;
    const { bus, source, provides, log } = this.#options;
    await this.#claim.make();
    const from = this.#numbering.offset;
    if (this.#lost) throw new GatewayError("SHARD_TAKEN", `shard ${this.id}: ${this.#failure}`);
    if (this.#abort.signal.aborted) return;
    const instruments = instrumentsOf(this.id);
    const answerOf: StateHandler = (request) => {
      if (request.channel === instruments) return this.#instruments.answer(request.since, this.#header());
      const chain = this.#pipeline.chains.find(request.channel, request.user);
      return chain === null ? null : answer(request, chain, this.#header(), provides);
    };
    this.#serving = bus.serve(this.id, answerOf, () => this.#heads.now());
    this.#every("head", HEAD_MS, () => this.#tick());
    this.#every("save", CHECKPOINT_MS, () => this.#unsaved && this.#save());
    this.#every("look", LOOK_MS, () => this.#unsaved || this.#claim.look());
    this.#heads.send(true);
    log.info("shard started", { shard: this.id, source: source.name, epoch: this.#numbering.epoch.id, from });
    this.#run = this.#runSource(from);
  }

  /** Goes on from the checkpoint, or begins an epoch above everything under its ceiling. */
  #takeOver(checkpoint: Checkpoint | null): void {
    const { source, clock, randomId, token, provides } = this.#options;
    const wallUs = clock.wallUs();
    const beginning = beginningOf(checkpoint, {
      ...{ source, provides, randomId, wallUs },
      mapperVersion: this.#mapperVersion(),
    });
    const { numbering, keeps } = beginning;
    // A store that lost what it had, or has it from a former owner, says nothing of the tokens that nodes have seen: a time
    // is above all of them.
    this.#token = token ?? Math.max(wallMs(clock), (checkpoint?.token ?? 0) + 1);
    this.#numbering = numbering;
    this.#ceiling = beginning.ceiling;
    this.#position = beginning.position;
    this.#incarnation = source.incarnation ?? "";
    this.#continued = keeps === "all";
    if (checkpoint !== null && keeps === "nothing" && isOfAnother(checkpoint, source)) source.madeAnew?.();
    this.#pipeline.begin(this.#header(), numbering.epoch.base);
    if (checkpoint !== null && keeps === "all") this.#pipeline.restore(checkpoint);
    if (checkpoint !== null && keeps === "books") this.#pipeline.seed(checkpoint);
  }

  async #runSource(from: number | null): Promise<void> {
    const { source, log } = this.#options;
    try {
      await source.run(this, from, this.#abort.signal, this.#position);
      if (!this.#abort.signal.aborted) log.info("source ended", { shard: this.id, source: source.name });
    } catch (error) {
      this.#failure ??= error instanceof Error ? error.message : String(error);
      log.error("source failed", { shard: this.id, source: source.name, error });
    }
    // Whatever it became, the nodes hear of it at once.
    if (this.#serving !== null) this.#heads.send(true);
  }

  /** An instrument that its channels are of. */
  feeds(market: string, symbol: string): boolean {
    return this.#instruments.has(market, symbol);
  }

  /** A newer owner has it: only that one may go on. */
  get lost(): boolean {
    return this.#lost;
  }

  /** It is this one that publishes, with this token. */
  speaks(token: number): boolean {
    return this.#serving !== null && this.#token === token;
  }

  // --- records --------------------------------------------------------------------------------------------------

  accept(record: SourceRecord): void {
    this.#take(record, this.#options.source.incarnation ?? "");
  }

  busy(): Promise<void> | null {
    return this.#held.gone ?? this.#options.pause?.() ?? null;
  }

  #take(record: SourceRecord, incarnation: string): void {
    // An offset that is no number passes: it is refused there.
    const mayPass = this.#held.size === 0 && !(this.#numbering.seqOf(record.offset) > this.#ceiling);
    if (mayPass) this.#process(record, incarnation);
    else this.#hold(record, incarnation);
  }

  #hold(record: SourceRecord, incarnation: string): void {
    this.#held.push({ record, incarnation });
    this.#save();
  }

  #process(record: SourceRecord, incarnation: string): void {
    if (this.#abort.signal.aborted) return;
    this.#counters.records++;
    if (!this.#numbering.take(record.offset)) {
      count(this.#counters.refused, "offset");
      return;
    }
    this.#position = record.position ?? null;
    this.#incarnation = incarnation;
    const seq = this.#numbering.seqOf(record.offset);
    if (record.type === "lost") this.#doubted.clear();
    if (record.type === "epoch") this.#nextEpoch(record.moved === true);
    else this.#pipeline.process(record, seq);
    this.#recordsUnsaved++;
    if (this.#recordsUnsaved >= CHECKPOINT_RECORDS || seq > this.#ceiling - CEILING_STEP / 2) this.#save();
  }

  /**
   * `moved`: above what any shard under the same clock gave a channel, so that its seq rises wherever it moves to. Who went
   * on from a checkpoint does not know how far the owner before came: above its ceiling.
   */
  #nextEpoch(moved: boolean): void {
    const { randomId, clock } = this.#options;
    const least = this.#continued ? this.#ceiling + 1 : 0;
    const { base } = this.#numbering.next(randomId(), moved ? freshBase(clock.wallUs(), least - 1) : least);
    if (moved) this.#pipeline.giveUp();
    this.#pipeline.begin(this.#header(), base);
    this.#heads.send(true);
  }

  // --- the end --------------------------------------------------------------------------------------------------

  /** Stops the source, saves a last checkpoint and gives the channels up. */
  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#run;
    this.#close();
    await this.#saver.idle();
    if (this.#unsaved && !this.#lost) await this.#saver.save();
    this.#options.owners.release(this.id);
  }

  /** Settles when the source ended, failed or was stopped. */
  get ended(): Promise<void> {
    return this.#run;
  }

  #close(): void {
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
    this.#serving?.close();
    this.#serving = null;
  }

  /** Somebody speaks for this shard with that token: if it is a newer owner, this one stops. */
  heard(token: number): void {
    if (token > this.#token && this.#serving !== null) this.#lose();
  }

  /** Another owner has the shard: not a word more. */
  #lose(): void {
    if (this.#lost) return;
    this.#lost = true;
    this.#failure = "a newer owner has taken it";
    this.#options.log.error("shard lost to a newer owner", { shard: this.id, token: this.#token });
    this.#abort.abort();
    this.#close();
  }

  // --- beside the path ------------------------------------------------------------------------------------------

  #header(): ShardHeader {
    return { version: BUS_VERSION, shard: this.id, token: this.#token, epoch: this.#numbering.epoch.id };
  }

  #tick(): void {
    this.#heads.tick();
    if (this.#options.source.status().state.name === "connected") {
      const absent = [...this.#doubted].filter((channel) => this.#isAbsent(channel));
      this.#resyncs.repeat([...this.#pipeline.chains.staleBooks(), ...absent]);
    }
  }

  /** Nothing of this book has come yet. */
  #isAbsent(channel: string): boolean {
    return (this.#pipeline.chains.find(channel, "")?.lastSeq ?? null) === null;
  }

  /** Calls `again` every `ms` until the shard is closed. */
  #every(name: string, ms: number, again: () => void): void {
    const timer = this.#options.clock.after(ms, () => {
      this.#every(name, ms, again);
      again();
    });
    this.#timers.set(name, timer);
  }

  get #unsaved(): boolean {
    return this.#recordsUnsaved > 0 || this.#saver.error !== null;
  }

  #save(): void {
    if (!this.#abort.signal.aborted) void this.#saver.save();
  }

  #stored(checkpoint: Checkpoint): void {
    this.#ceiling = checkpoint.ceiling;
    this.#claim.answered();
    this.#held.release(({ record, incarnation }) => this.#take(record, incarnation));
    // A numbering that began meanwhile may give the same offsets to other records, which are not stored. The source is in it
    // as soon as it has said so, also while that waits.
    const isCurrent = checkpoint.epoch === this.#numbering.epoch.id && !this.#held.hasEpoch;
    if (isCurrent && checkpoint.offset !== null) {
      this.#options.source.commit?.(checkpoint.offset, checkpoint.position);
    }
  }

  #mapperVersion(): string {
    const { name, version } = this.#options.mapper;
    return `${name}@${version}`;
  }

  /** One consistent cut, made between two records. */
  #cut(): Checkpoint {
    const { epoch, offset } = this.#numbering;
    const next = this.#numbering.seqOf(this.#held.first?.offset ?? (offset ?? -1) + 1);
    // Far enough above the next seq that storing it does not hold the source up.
    const ceiling = next > this.#ceiling - CEILING_STEP / 2 ? next + CEILING_STEP : this.#ceiling;
    this.#recordsUnsaved = 0;
    return {
      ...this.#pipeline.save(),
      token: this.#token,
      owner: this.#owner,
      epoch: epoch.id,
      base: epoch.base,
      ceiling,
      offset,
      position: this.#position,
      incarnation: this.#incarnation,
      mapperVersion: this.#mapperVersion(),
      provides: this.#options.provides,
    };
  }

  status(): ShardStatus {
    const { source, clock } = this.#options;
    const { epoch, offset } = this.#numbering;
    const newest = this.#pipeline.timeNewest;
    return {
      ...structuredClone(this.#counters),
      id: this.id,
      mapper: this.#mapperVersion(),
      source: { ...source.status(), name: source.name },
      token: this.#token,
      epoch: epoch.id,
      base: epoch.base,
      ceiling: this.#ceiling,
      offset,
      seq: offset === null ? null : this.#numbering.seqOf(offset),
      lagMs: newest === 0 ? null : wallMs(clock) - newest,
      chains: this.#pipeline.chains.size,
      books: this.#pipeline.chains.books,
      staleBooks: this.#pipeline.chains.staleBooks(),
      checkpointsSaved: this.#saver.saved,
      checkpointErrors: this.#saver.errors + this.#claim.errors,
      checkpointError: this.#saver.error ?? this.#claim.error,
      held: this.#held.size,
      failure: this.#failure,
    };
  }
}
