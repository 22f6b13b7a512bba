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
import { createWire, type ReceivedBatch, type Wire } from "./wire.ts";

export interface NatsBusOptions {
  readonly nats: NatsSettings;
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
  /** Bytes that wait to leave or are not confirmed. */
  readonly heldBytes: number;
  readonly requestsOpen: number;
  /** Other nodes that serve shards. */
  readonly nodes: number;
  /** The longest way from another node's flush to here since it was asked last, in ms by both clocks; null if nothing came. */
  readonly hopMs: number | null;
}

export interface NatsBus extends Bus {
  status(): NatsBusStatus;
  readonly link: NatsLink;
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
  readonly #batches: Batches;
  readonly #presence: Presence;
  readonly #asking: Asking;
  readonly #subjects: { readonly heads: string; readonly ask: string };
  /** Of this bus, not of the node: it is new after a restart. */
  readonly #id: string;
  readonly #sender: number;
  #messages = 0;
  /** Fanout topic -> subject; null where it cannot be one. */
  readonly #topics = new Map<string, string | null>();
  #maxPayload = 1024 * 1024;
  #serves = 0;
  #hopMs: number | null = null;
  #closed = false;

  constructor(options: NatsBusOptions) {
    const { cluster, clock = systemClock(), random = Math.random, log } = options;
    this.#cluster = cluster;
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
    this.#batches = new Batches({
      clock,
      wire: this.#wire,
      lingerMs: options.lingerMs ?? 1,
      batch: options.batch ?? 100,
      send: (topic, bytes, publications) => this.#send(this.#subjectOf(topic) ?? "", bytes, publications),
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
    if (this.#subjectOf(topic) !== null) this.#batches.add(header, topic, publication);
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

  flushed(): Promise<void> {
    this.#batches.flush();
    this.#presence.flush();
    return this.#outbox.flushed();
  }

  // --- receivers --------------------------------------------------------------------------------------------------

  subscribe(topic: string, receive: (message: BusMessage) => void): Subscription {
    const subscription = this.#local.subscribe(topic, receive);
    const subject = this.#subjectOf(topic);
    if (subject === null) return subscription;
    this.#interest.enter(subject, (bytes) => this.#received(subject, bytes, (whole) => this.#deliver(topic, whole)));
    let open = true;
    return {
      close: () => {
        subscription.close();
        if (open && !this.#closed) this.#interest.leave(subject);
        open = false;
      },
    };
  }

  heads(receive: (head: Head) => void): Subscription {
    return this.#local.heads(receive);
  }

  request(request: StateRequest): Promise<StateReply | null> {
    return this.#closed ? Promise.reject(busClosed()) : this.#asking.request(request);
  }

  headOf(shard: string, timeoutMs: number): Promise<Head> {
    return this.#closed ? Promise.reject(busClosed()) : this.#asking.headOf(shard, timeoutMs);
  }

  // --- beside the path --------------------------------------------------------------------------------------------

  state(): BusState {
    const state = this.link.state();
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
      heldBytes: this.#outbox.bytes,
      requestsOpen: this.#asking.open,
      nodes: this.#presence.serving.size,
      hopMs,
    };
  }

  async close(): Promise<void> {
    if (!this.#closed) {
      this.#batches.flush();
      this.#presence.say(false, 0);
      this.#closed = true;
      this.#presence.close();
      this.#asking.close();
      await this.#local.close();
    }
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
    this.#presence.say(true);
    this.#asking.up();
  }

  #down(): void {
    this.#interest.down();
    this.#outbox.down();
    this.#asking.down();
    this.#whole.clear();
  }

  /** False if there is no connection to say it on. */
  #say(subject: string, bytes: Uint8Array): boolean {
    this.#send(subject, bytes, 0);
    return this.link.connection !== null;
  }

  #send(subject: string, bytes: Uint8Array, publications: number): void {
    const part = { sender: this.#sender, message: this.#messages++ % 2 ** 32 };
    const parts = split(bytes, this.#maxPayload, part, this.#wire.version);
    for (const [at, one] of parts.entries()) {
      this.#outbox.push(subject, one, at === parts.length - 1 ? publications : 0, publications > 0);
    }
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

  #subjectOf(topic: string): string | null {
    const known = this.#topics.get(topic);
    if (known !== undefined) return known;
    let subject: string | null = null;
    try {
      subject = subjectOf(this.#cluster, topic);
    } catch (error) {
      this.#refusals.badTopic(error);
    }
    // Private topics come and go with their users.
    if (this.#topics.size >= TOPICS_MAX) this.#topics.clear();
    this.#topics.set(topic, subject);
    return subject;
  }
}

const TOPICS_MAX = 100_000;

const busClosed = (): GatewayError => new GatewayError("BUS_CLOSED", "the bus of this node is closed");
