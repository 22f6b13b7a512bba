/**
 * The two ends of a bus for tests: an owner that does what it is told and remembers the truth, and a consumer that checks
 * every call against the contract and rebuilds books, values and item lists from what it is given.
 */
import type { Bus, Head, ShardHeader, StateReply, StateRequest, Subscription } from "../../src/bus/bus.ts";
import { BUS_VERSION } from "../../src/bus/bus.ts";
import type { ChannelConsumer, StateCause } from "../../src/bus/follower.ts";
import type { Body, Depth, Kind, Publication, StaleReason } from "../../src/channel/types.ts";

/** `x@trade` is lossless, `x@depth` a book, anything else a value. */
const familyOf = (channel: string): "items" | "book" | "value" =>
  channel.endsWith("@trade") ? "items" : channel.endsWith("@depth") ? "book" : "value";

/** One fanout topic per symbol, private ones per user. */
export const topicOf = (channel: string, user = ""): string =>
  user === "" ? `fanout.${channel.split("@")[0]}` : `fanout.${channel}.${user}`;

const keyOf = (channel: string, user: string): string => `${channel}|${user}`;

/** A book by price, to be compared as a whole. */
class Levels {
  readonly bids = new Map<string, string>();
  readonly asks = new Map<string, string>();

  apply(body: Body): void {
    if (body.type === "snapshot") this.replace(body.data);
    else if (body.type === "delta") this.merge(body.data);
  }

  replace(depth: Depth): void {
    this.bids.clear();
    this.asks.clear();
    this.merge(depth);
  }

  merge(depth: Depth): void {
    for (const [side, levels] of [
      [this.bids, depth.bids],
      [this.asks, depth.asks],
    ] as const) {
      for (const [price, quantity] of levels) {
        if (quantity === "0") side.delete(price);
        else side.set(price, quantity);
      }
    }
  }

  depth(): Depth {
    return { bids: [...this.bids].sort(), asks: [...this.asks].sort() };
  }
}

interface OwnedChain {
  last: number | null;
  history: Publication[];
  levels: Levels;
  value: Body | null;
}

export interface OwnerOptions {
  readonly bus: Bus;
  readonly shard?: string;
  readonly token?: number;
  readonly epoch?: string;
  readonly base?: number;
  readonly historyMax?: number;
  readonly provides?: readonly Kind[];
  /** Channels it knows before anything was published on them. */
  readonly known?: readonly string[];
}

/** Everything that was ever published on a chain, epoch by epoch. */
export type Truth = Map<string, { epoch: string; p: Publication }[]>;

export class ScriptedOwner {
  readonly shard: string;
  token: number;
  epoch: string;
  base: number;
  offset = 0;
  source = "connected";
  truth: Truth;
  private readonly options: OwnerOptions;
  private chains = new Map<string, OwnedChain>();
  private changed = new Set<string>();
  private headCount = 0;
  private serving: Subscription | null = null;

  constructor(options: OwnerOptions, truth: Truth = new Map()) {
    this.options = options;
    this.shard = options.shard ?? "shard-1";
    this.token = options.token ?? 1;
    this.epoch = options.epoch ?? "e1";
    this.base = options.base ?? 1000;
    this.truth = truth;
    this.serve();
  }

  serve(): void {
    this.serving ??= this.options.bus.serve(this.shard, (request) => this.answer(request));
  }

  stopServing(): void {
    this.serving?.close();
    this.serving = null;
  }

  header(): ShardHeader {
    return { version: BUS_VERSION, shard: this.shard, token: this.token, epoch: this.epoch };
  }

  lastOf(channel: string, user = ""): number | null {
    return this.chains.get(keyOf(channel, user))?.last ?? null;
  }

  /** Numbers and publishes the next change of a channel. */
  publish(channel: string, user = ""): Publication {
    const p = this.make(channel, user);
    this.options.bus.publish(this.header(), topicOf(channel, user), p);
    return p;
  }

  /** The next publication, kept but not sent. */
  make(channel: string, user = ""): Publication {
    const key = keyOf(channel, user);
    const chain = this.chainOf(key);
    const seq = this.base + this.offset++;
    const p: Publication = {
      ...this.body(channel, chain, seq),
      channel,
      user,
      kind: "json",
      time: 1_700_000_000_000 + seq,
      receivedUs: 1_700_000_000_000_000 + seq,
      seq,
      prev: chain.last,
    };
    chain.last = seq;
    chain.levels.apply(p);
    if (p.type === "value") chain.value = { type: "value", data: p.data };
    chain.history.push(p);
    if (chain.history.length > (this.options.historyMax ?? 50)) chain.history.shift();
    this.changed.add(key);
    const log = this.truth.get(key) ?? [];
    log.push({ epoch: this.epoch, p });
    this.truth.set(key, log);
    return p;
  }

  private chainOf(key: string): OwnedChain {
    let chain = this.chains.get(key);
    if (chain === undefined) {
      chain = { last: null, history: [], levels: new Levels(), value: null };
      this.chains.set(key, chain);
    }
    return chain;
  }

  private body(channel: string, chain: OwnedChain, seq: number): Body {
    if (familyOf(channel) === "items") return { type: "items", data: [{ json: `{"n":${seq}}` }] };
    if (familyOf(channel) === "value") return { type: "value", data: { json: `{"n":${seq}}` } };
    const depth: Depth = {
      bids: [[String(90 + (seq % 7)), seq % 3 === 0 ? "0" : String(seq)]],
      asks: [[String(100 + (seq % 5)), seq % 4 === 0 ? "0" : String(seq)]],
    };
    if (chain.last !== null) return { type: "delta", data: depth };
    return { type: "snapshot", data: { bids: [["1", String(seq)]], asks: [["200", String(seq)]] } };
  }

  head(full = false): void {
    this.options.bus.head(this.makeHead(full || this.headCount++ % 10 === 0));
  }

  makeHead(full: boolean): Head {
    const last: [string, string, number][] = [];
    for (const [key, chain] of this.chains) {
      const [channel = "", user = ""] = key.split("|");
      if (chain.last !== null && (full || this.changed.has(key))) last.push([channel, user, chain.last]);
    }
    this.changed.clear();
    const provides = this.options.provides ?? [];
    const offset = this.offset === 0 ? null : this.offset - 1;
    return { ...this.header(), offset, source: this.source, provides, full, last };
  }

  /** A new numbering: nothing of the old one is kept. */
  newEpoch(epoch: string, base = this.base + this.offset + 1000): void {
    this.epoch = epoch;
    this.base = base;
    this.offset = 0;
    this.chains = new Map();
    this.changed.clear();
  }

  /** The next owner with the same numbering, which has replayed everything. */
  takenOverBy(bus: Bus): ScriptedOwner {
    const { shard, epoch, base } = this;
    const next = new ScriptedOwner({ ...this.options, bus, shard, epoch, base, token: this.token + 1 }, this.truth);
    next.offset = this.offset;
    for (const [key, chain] of this.chains) {
      const levels = new Levels();
      levels.replace(chain.levels.depth());
      next.chains.set(key, { ...chain, history: [...chain.history], levels });
    }
    return next;
  }

  answer(request: StateRequest): StateReply | null {
    const { channel, user, since } = request;
    const chain = this.chains.get(keyOf(channel, user));
    if (chain === undefined && !(this.options.known ?? []).includes(channel)) return null;
    const history = [...(chain?.history ?? [])];
    const last = chain?.last ?? null;
    const start = history[0]?.prev ?? null;
    const reaches = since !== null && since.epoch === this.epoch && (start === null || start <= since.seq);
    const after = reaches ? history.filter((p) => p.seq > since.seq) : null;
    return {
      ...this.header(),
      channel,
      user,
      seq: last,
      provides: this.options.provides ?? [],
      after,
      state: after !== null || chain === undefined || last === null ? null : stateOf(channel, chain),
      time: last === null ? 0 : 1_700_000_000_000 + last,
      history: after === null ? history : [],
      stale: false,
    };
  }

  /** What a consumer that saw everything has. */
  content(channel: string, user = ""): unknown {
    const chain = this.chains.get(keyOf(channel, user));
    return familyOf(channel) === "book" ? (chain?.levels ?? new Levels()).depth() : (chain?.value ?? null);
  }
}

function stateOf(channel: string, chain: OwnedChain): Body | null {
  if (familyOf(channel) === "book") return { type: "snapshot", data: chain.levels.depth() };
  return familyOf(channel) === "value" ? chain.value : null;
}

/** One unbroken stretch of publications: it began at `from` because of `cause`. */
interface Run {
  readonly cause: StateCause;
  readonly epoch: string;
  readonly from: number | null;
  readonly seqs: number[];
}

/** Follows one channel, notes every call, and every breach of the contract in `breaches`. */
export class Recorder implements ChannelConsumer {
  readonly calls: string[] = [];
  readonly breaches: string[] = [];
  readonly runs: Run[] = [];
  epoch = "";
  seq: number | null = null;
  token = 0;
  private readonly levels = new Levels();
  private value: Body | null = null;
  private started = false;
  private isStale = false;
  readonly channel: string;
  private readonly user: string;

  constructor(channel: string, user = "") {
    this.channel = channel;
    this.user = user;
  }

  state(reply: StateReply, cause: StateCause): void {
    this.calls.push(`state ${cause} ${reply.epoch} ${reply.seq}`);
    if ((cause === "first") === this.started) this.breach(`state "${cause}" at the wrong time`);
    if (cause === "heal" && reply.epoch !== this.epoch) this.breach("healed into another epoch");
    if (cause === "epoch" && reply.epoch === this.epoch) this.breach("a new epoch that is the old one");
    if (cause === "heal" && (reply.seq ?? -1) < (this.seq ?? -1)) this.breach("state went backwards");
    this.checkHeader(reply);
    this.started = true;
    this.isStale = false;
    this.epoch = reply.epoch;
    this.seq = reply.seq;
    this.runs.push({ cause, epoch: reply.epoch, from: reply.seq, seqs: [] });
    this.levels.replace(reply.state?.type === "snapshot" ? reply.state.data : { bids: [], asks: [] });
    this.value = reply.state?.type === "value" ? reply.state : null;
  }

  publication(p: Publication, header: ShardHeader): void {
    this.calls.push(String(p.seq));
    if (!this.started) this.breach(`${p.seq} before the first state`);
    if (this.isStale) this.breach(`${p.seq} while stale`);
    if (header.epoch !== this.epoch) this.breach(`${p.seq} of epoch ${header.epoch} in ${this.epoch}`);
    if (p.prev !== this.seq) this.breach(`${p.seq} has prev ${p.prev}, position is ${this.seq}`);
    if (p.channel !== this.channel || p.user !== this.user) this.breach(`${p.seq} of ${p.channel} ${p.user}`);
    this.checkHeader(header);
    this.seq = p.seq;
    this.runs.at(-1)?.seqs.push(p.seq);
    this.levels.apply(p);
    if (p.type === "value") this.value = { type: "value", data: p.data };
  }

  stale(reason: StaleReason): void {
    this.calls.push(`stale ${reason}`);
    if (this.isStale) this.breach("told stale twice");
    if (!this.started) this.breach("stale before the first state");
    this.isStale = true;
  }

  fresh(): void {
    this.calls.push("fresh");
    if (!this.isStale) this.breach("fresh without stale");
    this.isStale = false;
  }

  unavailable(code: number, _message: string): void {
    this.calls.push(`unavailable ${code}`);
  }

  get told(): boolean {
    return this.isStale;
  }

  content(): unknown {
    return familyOf(this.channel) === "book" ? this.levels.depth() : this.value;
  }

  /** The calls since the last look. */
  take(): string[] {
    return this.calls.splice(0);
  }

  /**
   * What differs from the source, in sentences: position, content, and every stretch of publications against the truth
   * (each exactly once, in order, nothing left out inside a stretch).
   */
  differences(owner: ScriptedOwner): string[] {
    const out = [...this.breaches];
    if (this.epoch !== owner.epoch) out.push(`epoch ${this.epoch}, source has ${owner.epoch}`);
    const last = owner.lastOf(this.channel, this.user);
    if (this.seq !== last) out.push(`position ${this.seq}, source has ${last}`);
    if (this.isStale) out.push("still stale");
    const [mine, theirs] = [JSON.stringify(this.content()), JSON.stringify(owner.content(this.channel, this.user))];
    if (mine !== theirs) out.push(`content ${mine}, source has ${theirs}`);
    const log = owner.truth.get(keyOf(this.channel, this.user)) ?? [];
    for (const run of this.runs) {
      const all = log.filter(({ epoch, p }) => epoch === run.epoch && p.seq > (run.from ?? -1)).map(({ p }) => p.seq);
      const same = run.seqs.every((seq, i) => seq === all[i]);
      if (!same) out.push(`run from ${run.from} has ${run.seqs.join()}, source has ${all.join()}`);
    }
    return out;
  }

  private checkHeader(header: ShardHeader): void {
    if (header.token < this.token) this.breach(`token ${header.token} after ${this.token}`);
    this.token = header.token;
  }

  private breach(what: string): void {
    this.breaches.push(what);
  }
}
