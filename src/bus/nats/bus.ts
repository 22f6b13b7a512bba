/**
 * The bus over NATS: what is published here reaches receivers of this node at once, and all others through the server.
 *
 *     publish -> receivers here (memory.ts)
 *             -> batches -> outbox -> NATS -> interest -> receivers there
 *
 * Subjects: `tg.<cluster>.<fanout topic>` for publications; `tgc.<cluster>.heads`, `.ask`, `.answer.<node>` between nodes.
 * Invariants: order per topic is the call order; this node never hears itself through the server; a message of a topic
 * that nobody wants here is never decoded; a HEAD leaves behind the publications it speaks of.
 * At the limit: without a connection everything goes on inside this node; what should leave waits within bounds
 * (outbox.ts); what cannot be read is counted and told once a second; followers heal all of it.
 */
import type { NatsConnection } from "@nats-io/transport-node";
import type { Publication } from "../../channel/types.ts";
import { type Clock, systemClock } from "../../lib/clock.ts";
import { GatewayError } from "../../lib/errors.ts";
import type { Log } from "../../lib/log.ts";
import { type NatsLink, type NatsLinkState, type NatsSettings, openNats } from "../../lib/nats.ts";
import type {
  Bus,
  BusMessage,
  BusState,
  Head,
  HeadHandler,
  ShardHeader,
  StateHandler,
  StateReply,
  StateRequest,
  Subscription,
} from "../bus.ts";
import { createMemoryHub, type MemoryHub } from "../memory.ts";
import { controlSubject, subjectOf } from "../subject.ts";
import { Asking } from "./asking.ts";
import { Batches } from "./batches.ts";
import { type NatsBusCounters, newCounters } from "./counters.ts";
import { Interest } from "./interest.ts";
import { Outbox } from "./outbox.ts";
import { split, Whole } from "./parts.ts";
import { Presence } from "./presence.ts";
import { Refusals } from "./refusals.ts";
import { replay } from "./replay.ts";
import { Stored } from "./stored.ts";
import { ensureStream, type StreamSettings, streamName } from "./stream.ts";
import { createWire, type ReceivedBatch, type Wire } from "./wire.ts";

/** How a topic's publications travel: not at all beyond this node, through the server, or through the stream as well. */
export type Way = "memory" | "nats" | "jetstream";

export interface NatsBusOptions {
  readonly nats: NatsSettings;
  /** Of topics that do not name their own. Default "nats". */
  readonly kind?: Way;
  /** What a fanout topic names; null: nothing. Asked once per topic. */
  readonly busOf?: (topic: string) => Way | null;
  /** The fanout topic of a channel: with it a receiver heals from the stream. */
  readonly topicOf?: (channel: string, user: string) => string;
  readonly stream?: StreamSettings;
  /** Nodes of one cluster hear each other. */
  readonly cluster: string;
  /** This node's name, for the server's monitoring. */
  readonly name: string;
  readonly log: Pick<Log, "info" | "warn">;
  readonly clock?: Clock;
  /** Uniform in [0, 1). */
  readonly random?: () => number;
  /** Where `host:port` is really dialled. */
  readonly resolveAddress?: (hostPort: string) => string;
  /** How long a publication may wait for others of its topic. Default 1. */
  readonly lingerMs?: number;
  /** Publications in one message at most. Default 100. */
  readonly batch?: number;
  /** How long a HEAD may wait for HEADs of other shards. Default 20. */
  readonly headLingerMs?: number;
  /** How long a request waits for an owner. Default 1000. */
  readonly requestTimeoutMs?: number;
  /** After a connection was made, before "nobody knows the channel" is believed. Default 300. */
  readonly joinMs?: number;
  /** What may wait to be acknowledged by the stream (64 MiB). */
  readonly storedBytesMax?: number;
  /** What may wait to leave (16 MiB, 5 s), and what may be with the server unconfirmed (4 MiB). */
  readonly heldBytesMax?: number;
  readonly heldMsMax?: number;
  readonly windowBytes?: number;
  /** A receiver or owner threw. Default: thrown again on its own, as an uncaught error of the process. */
  readonly onError?: (error: unknown) => void;
  /** Written by an older node while a cluster is upgraded. Default BUS_VERSION. */
  readonly version?: number;
}

export interface NatsBusStatus {
  readonly state: BusState;
  readonly link: NatsLinkState;
  readonly counters: Readonly<NatsBusCounters>;
  readonly reconnects: number;
  /** Times the server cut this node off because it read too slowly. */
  readonly slowConsumer: number;
  /** Subjects subscribed on the server. */
  readonly subjects: number;
  /** Bytes that wait to leave or are not confirmed; and messages the stream has not acknowledged. */
  readonly heldBytes: number;
  readonly unacknowledged: number;
  /** The stream is there and takes publications. */
  readonly storing: boolean;
  readonly requestsOpen: number;
  /** Other nodes that serve shards. */
  readonly nodes: number;
  /** The longest way from another node's flush to here since it was asked last, in ms by both clocks; null if nothing came. */
  readonly hopMs: number | null;
}

export interface NatsBus extends Bus {
  status(): NatsBusStatus;
  readonly link: NatsLink;
  /** Null while the stream keeps up; else a promise that settles when it does. For sources that can wait. */
  busy(): Promise<void> | null;
}

/** Throws GatewayError NATS_ADDRESS or BAD_SUBJECT (cluster name); whatever is wrong later is told in `state()`. */
export const createNatsBus = (options: NatsBusOptions): NatsBus => new Node(options);

class Node implements NatsBus {
  readonly link: NatsLink;
  readonly #cluster: string;
  readonly #clock: Clock;
  readonly #wire: Wire;
  readonly #hub: MemoryHub;
  /** The receivers and owners of this node. */
  readonly #local: Bus;
  readonly #counters = newCounters();
  readonly #refusals: Refusals;
  readonly #whole: Whole;
  readonly #interest: Interest;
  readonly #outbox: Outbox;
  readonly #stored: Stored;
  readonly #stream: string;
  readonly #batches: Batches;
  readonly #presence: Presence;
  readonly #asking: Asking;
  readonly #subjects: { readonly heads: string; readonly ask: string };
  /** Of this bus, not of the node: it is new after a restart. */
  readonly #id: string;
  readonly #sender: number;
  #messages = 0;
  readonly #options: NatsBusOptions;
  readonly #topics = new Map<string, Topic>();
  /** When a message of a persistent topic came last, wall clock in ms: where healing from the stream begins. */
  readonly #heardAt = new Map<string, number>();
  #maxPayload = 1024 * 1024;
  #serves = 0;
  #hopMs: number | null = null;
  #closed = false;
  #closing: Promise<void> | null = null;

  constructor(options: NatsBusOptions) {
    const { cluster, clock = systemClock(), random = Math.random, log } = options;
    this.#options = options;
    this.#cluster = cluster;
    this.#stream = streamName(cluster);
    this.#clock = clock;
    this.#wire = createWire(options.version);
    this.#sender = Math.floor(random() * 2 ** 32);
    this.#id = this.#sender.toString(36);
    this.#subjects = { heads: controlSubject(cluster, "heads"), ask: controlSubject(cluster, "ask") };
    this.#hub = createMemoryHub({ clock, ...(options.onError === undefined ? {} : { onError: options.onError }) });
    this.#local = this.#hub.attach();
    this.#refusals = new Refusals(this.#counters, log, clock);
    this.#whole = new Whole(() => this.#refusals.incomplete());
    this.#interest = new Interest((error) => this.#refusals.failed(error));
    this.#outbox = new Outbox({
      clock,
      counters: this.#counters,
      heldBytesMax: options.heldBytesMax ?? 16 * 1024 * 1024,
      heldMsMax: options.heldMsMax ?? 5000,
      windowBytes: options.windowBytes ?? 4 * 1024 * 1024,
      refused: (error) => this.#refusals.failed(error),
    });
    this.#stored = new Stored({
      clock,
      counters: this.#counters,
      bytesMax: options.storedBytesMax ?? 64 * 1024 * 1024,
      everything: options.kind === "jetstream" ? subjectOf(cluster, "all").replace(/all$/, ">") : null,
      ensure: (connection, subjects) =>
        ensureStream(connection, this.#stream, subjects, options.stream ?? STREAM_DEFAULTS),
      told: (error) => log.warn("the bus does not store publications", { stream: this.#stream, error }),
    });
    this.#batches = new Batches({
      clock,
      wire: this.#wire,
      lingerMs: options.lingerMs ?? 1,
      batch: options.batch ?? 100,
      send: (topic, bytes, publications, id) => this.#sendOn(topic, bytes, publications, id),
    });
    this.#presence = new Presence({
      clock,
      node: this.#id,
      lingerMs: options.headLingerMs ?? 20,
      serves: () => this.#serves,
      send: (frame) => {
        this.#batches.flush();
        this.#send(this.#subjects.heads, this.#wire.heads(frame), 0);
      },
      begun: () => this.#asking.again(),
      gone: () => this.#asking.judge(),
    });
    this.#asking = new Asking({
      clock,
      node: this.#id,
      hub: this.#hub,
      presence: this.#presence,
      counters: this.#counters,
      timeoutMs: options.requestTimeoutMs ?? 1000,
      joinMs: options.joinMs ?? 300,
      ask: (frame) => this.#say(this.#subjects.ask, this.#wire.ask(frame)),
      answer: (node, frame) => {
        // What was published before the answer is not overtaken by it.
        this.#batches.flush();
        this.#say(controlSubject(cluster, `answer.${node}`), this.#wire.answer(frame));
      },
    });
    this.#listen();
    this.link = openNats({
      ...options.nats,
      name: `tidegate ${options.name} (${cluster})`,
      clock,
      random,
      log,
      noEcho: true,
      ...(options.resolveAddress === undefined ? {} : { resolveAddress: options.resolveAddress }),
    });
    this.link.watch({ up: (connection) => this.#up(connection), down: () => this.#down() });
  }

  // --- owners -----------------------------------------------------------------------------------------------------

  publish(header: ShardHeader, topic: string, publication: Publication): void {
    if (this.#closed) return;
    // First outwards: what receivers here publish in turn comes behind it on both ways.
    if (this.#topic(topic).way !== "memory") this.#batches.add(header, topic, publication);
    this.#local.publish(header, topic, publication);
  }

  /** The server knows who subscribes, this node does not. */
  wanted(_topic: string): boolean {
    return true;
  }

  head(head: Head): void {
    if (this.#closed) return;
    this.#presence.add(head);
    this.#local.head(head);
  }

  serve(shard: string, answer: StateHandler, head?: HeadHandler): Subscription {
    const serving = this.#local.serve(shard, answer, head);
    this.#serves++;
    if (this.#serves === 1) this.#presence.say(false);
    queueMicrotask(() => this.#asking.again());
    let open = true;
    return {
      close: () => {
        serving.close();
        if (!open || this.#closed) return;
        open = false;
        this.#serves--;
        if (this.#serves === 0) this.#presence.say(false);
      },
    };
  }

  async flushed(): Promise<void> {
    this.#batches.flush();
    this.#presence.flush();
    await Promise.all([this.#outbox.flushed(), this.#stored.flushed()]);
  }

  busy(): Promise<void> | null {
    return this.#stored.busy();
  }

  // --- receivers --------------------------------------------------------------------------------------------------

  subscribe(topic: string, receive: (message: BusMessage) => void): Subscription {
    const subscription = this.#local.subscribe(topic, receive);
    const { subject } = this.#topic(topic);
    if (subject === "") return subscription;
    this.#interest.enter(subject, (bytes) => this.#received(subject, bytes, (whole) => this.#deliver(topic, whole)));
    let open = true;
    return {
      close: () => {
        subscription.close();
        if (open && !this.#closed) this.#interest.leave(subject);
        open = false;
        this.#heardAt.delete(topic);
      },
    };
  }

  heads(receive: (head: Head) => void): Subscription {
    return this.#local.heads(receive);
  }

  request(request: StateRequest): Promise<StateReply | null> {
    if (this.#closed) return Promise.reject(busClosed());
    return this.#asking.request(request).catch((error: unknown) => this.#healed(request, error));
  }

  headOf(shard: string, timeoutMs: number): Promise<Head> {
    return this.#closed ? Promise.reject(busClosed()) : this.#asking.headOf(shard, timeoutMs);
  }

  // --- beside the path --------------------------------------------------------------------------------------------

  state(): BusState {
    const state = this.link.state();
    const { error } = this.#stored;
    if (state.name === "connected" && error !== "") return { name: "connecting", attempt: 1, error };
    if (state.name === "connected") return { name: "connected" };
    if (state.name === "closed") return { name: "connecting", attempt: 0, error: "the bus is closed" };
    return { name: "connecting", attempt: state.attempt, error: state.error };
  }

  status(): NatsBusStatus {
    const { reconnects, slowConsumer } = this.link.counters;
    const hopMs = this.#hopMs;
    this.#hopMs = null;
    return {
      state: this.state(),
      link: this.link.state(),
      counters: { ...this.#counters },
      reconnects,
      slowConsumer,
      subjects: this.#interest.size,
      heldBytes: this.#outbox.bytes + this.#stored.bytes,
      unacknowledged: this.#stored.pending,
      storing: this.#stored.ready,
      requestsOpen: this.#asking.open,
      nodes: this.#presence.serving.size,
      hopMs,
    };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#batches.flush();
    this.#presence.say(false, 0);
    this.#closed = true;
    this.#presence.close();
    this.#asking.close();
    await this.#local.close();
    // What the stream was sent it may still acknowledge.
    const late = new Promise<void>((resolve) => this.#clock.after(CLOSE_MS_MAX, resolve));
    if (this.#stored.pending > 0) await Promise.race([late, this.#stored.flushed().catch(() => undefined)]);
    this.#stored.close();
    await this.link.close();
  }

  #listen(): void {
    const { heads, ask } = this.#subjects;
    const answers = controlSubject(this.#cluster, `answer.${this.#id}`);
    this.#interest.enter(heads, (bytes) => this.#received(heads, bytes, this.#heard));
    this.#interest.enter(ask, (bytes) => this.#received(ask, bytes, this.#asked));
    this.#interest.enter(answers, (bytes) => this.#received(answers, bytes, this.#answered));
  }

  #up(connection: NatsConnection): void {
    this.#maxPayload = connection.info?.max_payload ?? this.#maxPayload;
    this.#interest.up(connection);
    this.#outbox.up(connection);
    this.#stored.up(connection);
    this.#presence.say(true);
    this.#asking.up();
  }

  #down(): void {
    this.#interest.down();
    this.#outbox.down();
    this.#stored.down();
    this.#asking.down();
    this.#whole.clear();
  }

  /** False if there is no connection to say it on. */
  #say(subject: string, bytes: Uint8Array): boolean {
    this.#send(subject, bytes, 0);
    return this.link.connection !== null;
  }

  #send(subject: string, bytes: Uint8Array, publications: number): void {
    const parts = this.#split(bytes);
    for (const [at, one] of parts.entries()) {
      this.#outbox.push(subject, one, at === parts.length - 1 ? publications : 0, publications > 0);
    }
  }

  #sendOn(topic: string, bytes: Uint8Array, publications: number, id: string): void {
    const { subject, way } = this.#topic(topic);
    if (way !== "jetstream") {
      this.#send(subject, bytes, publications);
      return;
    }
    const parts = this.#split(bytes);
    for (const [at, one] of parts.entries()) {
      const isLast = at === parts.length - 1;
      this.#stored.push(subject, one, isLast ? publications : 0, isLast ? id : `${id}#${at}`);
    }
  }

  #split(bytes: Uint8Array): Uint8Array[] {
    const part = { sender: this.#sender, message: this.#messages++ % 2 ** 32 };
    return split(bytes, this.#maxPayload - HEADERS_MAX, part, this.#wire.version);
  }

  // --- what comes in ----------------------------------------------------------------------------------------------

  #received(subject: string, bytes: Uint8Array, read: (whole: Uint8Array) => void): void {
    if (this.#closed) return;
    this.#counters.messagesIn++;
    this.#counters.bytesIn += bytes.length;
    const whole = this.#whole.take(subject, bytes);
    if (whole !== null) read(whole);
  }

  #deliver(topic: string, bytes: Uint8Array): void {
    const batch = this.#judged(this.#wire.readBatch(bytes));
    if (batch === null) return;
    this.#counters.publicationsIn += batch.publications.length;
    this.#noteHop(batch);
    if (this.#topic(topic).way === "jetstream") this.#heardAt.set(topic, this.#clock.wallUs() / 1000);
    this.#hub.deliver(topic, batch);
  }

  readonly #heard = (bytes: Uint8Array): void => {
    const frame = this.#judged(this.#wire.readHeads(bytes));
    if (frame === null) return;
    this.#presence.hear(frame);
    for (const head of frame.heads) this.#hub.deliverHead(head);
  };

  readonly #asked = (bytes: Uint8Array): void => {
    const frame = this.#judged(this.#wire.readAsk(bytes));
    if (frame !== null) this.#asking.asked(frame);
  };

  readonly #answered = (bytes: Uint8Array): void => {
    const frame = this.#judged(this.#wire.readAnswer(bytes));
    if (frame !== null) this.#asking.answered(frame);
  };

  #judged<Frame>(frame: Frame | GatewayError): Frame | null {
    if (!(frame instanceof GatewayError)) return frame;
    this.#refusals.unreadable(frame);
    return null;
  }

  #noteHop({ sentUs }: ReceivedBatch): void {
    if (sentUs === 0) return;
    const hopMs = Math.max(0, (this.#clock.wallUs() - sentUs) / 1000);
    if (this.#hopMs === null || hopMs > this.#hopMs) this.#hopMs = hopMs;
  }

  /** No owner answered: the stream may have what is missing. */
  async #healed(request: StateRequest, error: unknown): Promise<StateReply> {
    const topic = this.#options.topicOf?.(request.channel, request.user);
    const { connection } = this.link;
    if (topic === undefined || request.since === null || connection === null || this.#closed) throw error;
    const { subject, way } = this.#topic(topic);
    // An epoch that no owner names any more is over, whatever the stream holds of it.
    if (way !== "jetstream" || !this.#presence.isCurrent(request.since.epoch)) throw error;
    const now = this.#clock.wallUs() / 1000;
    const fromMs = (this.#heardAt.get(topic) ?? now - BACK_MS_MAX) - BACK_MS;
    const question = { connection, stream: this.#stream, subject, wire: this.#wire, request, fromMs };
    const reply = await replay(question).catch((cause: unknown) => {
      this.#refusals.failed(cause);
      return null;
    });
    if (reply === null) throw error;
    this.#counters.streamHeals++;
    return reply;
  }

  #topic(topic: string): Topic {
    const known = this.#topics.get(topic);
    if (known !== undefined) return known;
    const made = this.#routed(topic);
    // Private topics come and go with their users.
    if (this.#topics.size >= TOPICS_MAX) this.#topics.clear();
    this.#topics.set(topic, made);
    return made;
  }

  #routed(topic: string): Topic {
    const { busOf, kind = "nats" } = this.#options;
    try {
      return { subject: subjectOf(this.#cluster, topic), way: busOf?.(topic) ?? kind };
    } catch (error) {
      this.#refusals.badTopic(error);
      return { subject: "", way: "memory" };
    }
  }
}

interface Topic {
  /** '' where it cannot be one. */
  readonly subject: string;
  readonly way: Way;
}

const TOPICS_MAX = 100_000;
const CLOSE_MS_MAX = 1000;
/** Room for what stands before a message of the stream. */
const HEADERS_MAX = 1024;
/** Healing from the stream begins so long before the last message that came; that is at most so long ago. */
const BACK_MS = 2000;
const BACK_MS_MAX = 60_000;

const STREAM_DEFAULTS: StreamSettings = { maxAgeSeconds: 600, maxBytes: 1024 ** 3, storage: "file", replicas: 1 };

const busClosed = (): GatewayError => new GatewayError("BUS_CLOSED", "the bus of this node is closed");
