/**
 * `connect`: a client that stays connected and goes on where it stopped.
 *
 * On the path: connection -> CLIENT -> streams.
 * Invariants: at most one connection serves the streams; a second one exists only while a node that drains is left, and
 * takes over when it is open. At the limit: a node that cannot be reached is tried again for ever, ever more slowly.
 */
import { Backoff } from "./backoff.ts";
import { Commands } from "./commands.ts";
import { Connection, type ConnectionListener } from "./connection.ts";
import { familyOf } from "./data.ts";
import { TidegateError } from "./errors.ts";
import { type ChannelEvents, type ClientEvents, Emitter, type Listener } from "./events.ts";
import { type ChannelPush, type DrainPush, type Reply, readFrame } from "./frames.ts";
import { type ConnectOptions, cadenceFault, type Settings, type SubscribeOptions, settingsOf } from "./options.ts";
import { Outbound } from "./outbound.ts";
import { nodeUrl, type SocketConstructor, socketConstructor } from "./socket.ts";
import { Stream, type StreamHost } from "./stream.ts";
import type { Subscription, SubscriptionTo } from "./subscription.ts";

export interface Client {
  readonly url: string;
  /** `waiting`: for the next try to connect. */
  readonly state: "connecting" | "connected" | "waiting" | "closed";
  /** By name, those that have not ended. */
  readonly subscriptions: ReadonlyMap<string, Subscription>;
  /** One subscription per name: asking again gives the same one; another cadence in it is a change of cadence. */
  subscribe<const Name extends string>(channel: Name, options?: SubscribeOptions): SubscriptionTo<Name>;
  /** Does nothing if there is no such subscription. */
  unsubscribe(channel: string): void;
  /** As `Subscription.setCadence`; rejects if there is no such subscription. */
  setCadence(channel: string, ms: number): Promise<number>;
  /** Returns what takes the listener off. */
  on<Name extends keyof ClientEvents>(name: Name, listener: Listener<ClientEvents[Name]>): () => void;
  /** Gives the connection up and makes it again at once, for example when a browser says that it is online. */
  reconnect(): void;
  /** Ends everything: subscriptions and their iterators too. */
  close(): void;
}

/** Throws a TidegateError for what is wrong here; whether the node is there is told by events. */
export function connect(url: string, options: ConnectOptions = {}): Client {
  return new StayingClient(nodeUrl(url), socketConstructor(options.WebSocket), settingsOf(options));
}

/** Closes after which the same is likely to happen again: policy, try again later, slow, kicked, shed. */
const HARSH: ReadonlySet<number> = new Set([1008, 1013, 4008, 4013, 4014]);
const HARSH_MS = 30_000;
/** The part of the time before a drain's end in which clients leave, so that the last ones are not pushed. */
const DRAIN_PART = 0.8;

class StayingClient implements Client, StreamHost, ConnectionListener {
  readonly url: string;
  readonly clock: Settings["clock"];
  readonly random: () => number;
  readonly buffer: number;
  readonly verifyMs: number | null;
  readonly #Socket: SocketConstructor;
  readonly #settings: Settings;
  readonly #events = new Emitter<ClientEvents>();
  readonly #streams = new Map<string, Stream>();
  readonly #outbound: Outbound;
  readonly #backoff: Backoff;
  #current: Connection | null = null;
  /** Being opened while `#current` still serves: its node drains. */
  #next: Connection | null = null;
  #commands: Commands | null = null;
  #cancelRetry: () => void = () => undefined;
  #everConnected = false;
  /** The present connection has answered a command. */
  #proven = false;
  #draining = false;
  #closed = false;

  constructor(url: string, Socket: SocketConstructor, settings: Settings) {
    this.url = url;
    this.#Socket = Socket;
    this.#settings = settings;
    this.clock = settings.clock;
    this.random = settings.random;
    this.buffer = settings.buffer;
    this.verifyMs = settings.verifyMs;
    this.#backoff = new Backoff(settings.retryMsFirst, settings.retryMsMax, settings.random);
    this.#outbound = new Outbound(settings.clock, (reply) => this.#odd(JSON.stringify(reply)));
    this.#current = this.#open();
  }

  // --- what its user asks -----------------------------------------------------------------------------------------------

  get state(): Client["state"] {
    if (this.#closed) return "closed";
    if (this.#current === null) return "waiting";
    return this.#current.openedMs === null ? "connecting" : "connected";
  }

  get subscriptions(): ReadonlyMap<string, Subscription> {
    return this.#streams;
  }

  subscribe<const Name extends string>(channel: Name, options: SubscribeOptions = {}): SubscriptionTo<Name> {
    // What a stream is, its name says: see SubscriptionTo.
    return this.#stream(channel, options) as unknown as SubscriptionTo<Name>;
  }

  unsubscribe(channel: string): void {
    this.#streams.get(channel)?.unsubscribe();
  }

  setCadence(channel: string, ms: number): Promise<number> {
    const stream = this.#streams.get(channel);
    if (stream !== undefined) return stream.setCadence(ms);
    return Promise.reject(new TidegateError("CLOSED", `${channel} is not subscribed`, channel));
  }

  on<Name extends keyof ClientEvents>(name: Name, listener: Listener<ClientEvents[Name]>): () => void {
    return this.#events.on(name, listener);
  }

  reconnect(): void {
    if (this.#closed) return;
    this.#next?.drop();
    this.#next = null;
    this.#current?.drop();
    this.#gone();
    this.#retryNow();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#cancelRetry();
    this.#outbound.stop();
    this.#current?.drop();
    this.#next?.drop();
    for (const stream of [...this.#streams.values()]) stream.end(null);
    this.#streams.clear();
  }

  #stream(channel: string, { cadence, since }: SubscribeOptions): Stream {
    if (this.#closed) throw new TidegateError("CLOSED", "the client is closed", channel);
    const fault = cadence === undefined ? null : cadenceFault(cadence);
    if (fault !== null) throw fault;
    const wanted = cadence ?? this.#settings.cadence;
    const known = this.#streams.get(channel);
    if (known !== undefined) {
      if (cadence !== undefined && cadence !== known.cadenceWanted) known.changeCadence(cadence);
      return known;
    }
    if (since !== undefined && familyOf(channel) === "book")
      throw new TidegateError("BAD_OPTION", `${channel}: a book begins with a snapshot, it has no since`, channel);
    const stream = new Stream(channel, wanted, since ?? null, this);
    this.#streams.set(channel, stream);
    this.wants(stream);
    return stream;
  }

  // --- what the streams ask ---------------------------------------------------------------------------------------------

  wants(stream: Stream): void {
    this.#outbound.wants(stream);
  }

  left(stream: Stream): void {
    this.#outbound.left(stream);
    if (this.#streams.get(stream.channel) === stream) this.#streams.delete(stream.channel);
  }

  emit<Name extends keyof ChannelEvents>(name: Name, event: ChannelEvents[Name]): void {
    this.#events.emit(name, event as ClientEvents[Name]);
  }

  hears(name: keyof ChannelEvents): boolean {
    return this.#events.hears(name);
  }

  // --- what the connection says -----------------------------------------------------------------------------------------

  opened(connection: Connection): void {
    if (connection === this.#next) {
      this.#current?.drop();
      this.#gone();
      this.#current = connection;
      this.#next = null;
    }
    const again = this.#everConnected;
    this.#everConnected = true;
    this.#proven = false;
    this.#draining = false;
    this.#commands = new Commands((text) => connection.send(text), this.clock);
    this.#events.emit("connected", { url: this.url, again });
    // A listener may have closed us.
    if (this.#commands !== null && this.#current === connection)
      this.#outbound.begin(this.#commands, this.#streams.values());
  }

  frame(connection: Connection, text: string | null): void {
    if (connection !== this.#current) return;
    const read = text === null ? null : readFrame(text);
    if (read === null || text === null) this.#odd(text ?? "a binary frame");
    else if ("reply" in read) this.#replied(read.reply, text);
    else if (read.push.type === "drain") this.#drain(read.push);
    else if (!this.#outbound.isLeaving(read.push.channel)) this.#pushed(read.push, text);
  }

  beat(connection: Connection): void {
    const { replyMsMax } = this.#settings;
    if (connection === this.#current && this.#commands?.isOverdue(replyMsMax) === true)
      connection.fail(`no reply for ${replyMsMax} ms`);
  }

  closed(connection: Connection, code: number, reason: string): void {
    if (connection === this.#next) {
      this.#next = null;
      this.#retryIn(this.#backoff.nextMs());
      return;
    }
    const { openedMs } = connection;
    const isHarsh = HARSH.has(code) && openedMs !== null && this.clock.nowMs() - openedMs < HARSH_MS;
    if (this.#proven && !isHarsh) this.#backoff.reset();
    // Good once: attempts that follow and never open do not begin anew.
    this.#proven = false;
    this.#gone();
    // The one that was to take over is under way already.
    const isCovered = this.#next !== null;
    this.#current = this.#next;
    this.#next = null;
    const retryMs = isCovered ? 0 : Math.round(this.#backoff.nextMs());
    if (!isCovered) this.#retryIn(retryMs);
    this.#events.emit("lost", { code, reason, retryMs, first: !this.#everConnected });
  }

  // --- inside -----------------------------------------------------------------------------------------------------------

  #open(): Connection {
    return new Connection(this.#Socket, this.url, this.clock, this.#settings, this);
  }

  /** The present connection serves no more. */
  #gone(): void {
    this.#current = null;
    this.#commands = null;
    this.#outbound.stop();
    for (const stream of this.#streams.values()) stream.disconnected();
  }

  #retryIn(ms: number): void {
    this.#cancelRetry();
    this.#cancelRetry = this.clock.after(ms, () => this.#retryNow());
  }

  #retryNow(): void {
    this.#cancelRetry();
    if (this.#closed || this.#next !== null) return;
    if (this.#current === null) this.#current = this.#open();
    else if (this.#draining) this.#next = this.#open();
  }

  #pushed(push: ChannelPush, text: string): void {
    const stream = this.#streams.get(push.channel);
    if (stream === undefined) return;
    // A command of many names is answered when the last of them runs.
    if (stream.phase === "asked") this.#commands?.progress();
    stream.push(push, text);
  }

  #replied(reply: Reply, text: string): void {
    if (this.#commands?.answer(reply) === true || reply.op === "pong") this.#proven = true;
    else this.#odd(text);
  }

  /** Looks for another node before this one closes us, each client at a time of its own. */
  #drain({ afterMs }: DrainPush): void {
    if (this.#draining) return;
    this.#draining = true;
    const moveMs = Math.round(this.random() * afterMs * DRAIN_PART);
    this.#events.emit("drain", { afterMs, moveMs });
    if (!this.#closed) this.#retryIn(moveMs);
  }

  #odd(frame: string): void {
    this.#events.emit("odd", { frame });
  }
}
