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
import { type NatsLink, openNats } from "../../lib/nats.ts";
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
import { newCounters } from "./counters.ts";
import { Healing } from "./healing.ts";
import { Hop } from "./hop.ts";
import { Inbox } from "./inbox.ts";
import { Interest } from "./interest.ts";
import type { NatsBus, NatsBusOptions, NatsBusStatus } from "./options.ts";
import { Outbox } from "./outbox.ts";
import { split } from "./parts.ts";
import { Presence } from "./presence.ts";
import { Refusals } from "./refusals.ts";
import { Stored } from "./stored.ts";
import { ensureStream, type StreamSettings, streamName } from "./stream.ts";
import { Topics } from "./topics.ts";
import { LEAVES, OtherWants, OwnWants, type WantsFrame } from "./wants.ts";
import { createWire, type HeadsFrame, type ReceivedBatch, type Wire } from "./wire.ts";

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
  readonly #interest: Interest;
  readonly #inbox: Inbox;
  readonly #outbox: Outbox;
  readonly #stored: Stored;
  readonly #stream: string;
  readonly #batches: Batches;
  readonly #presence: Presence;
  readonly #asking: Asking;
  readonly #own: OwnWants;
  readonly #others: OtherWants;
  readonly #joinMs: number;
  readonly #subjects: { readonly heads: string; readonly ask: string; readonly wants: string };
  /** Of this bus, not of the node: it is new after a restart. */
  readonly #id: string;
  readonly #sender: number;
  #messages = 0;
  readonly #topics: Topics;
  readonly #healing: Healing;
  readonly #hop: Hop;
  #maxPayload = 1024 * 1024;
  #serves = 0;
  #closed = false;
  #closing: Promise<void> | null = null;

  constructor(options: NatsBusOptions) {
    const { cluster, clock = systemClock(), random = Math.random, log } = options;
    this.#cluster = cluster;
    this.#stream = streamName(cluster);
    this.#clock = clock;
    this.#wire = createWire(options.version, options.writes);
    this.#sender = Math.floor(random() * 2 ** 32);
    this.#id = this.#sender.toString(36);
    const [heads, ask, wants] = [
      controlSubject(cluster, "heads"),
      controlSubject(cluster, "ask"),
      controlSubject(cluster, "wants"),
    ];
    this.#subjects = { heads, ask, wants };
    this.#joinMs = options.joinMs ?? 300;
    const told = {
      clock,
      node: this.#id,
      send: (frame: WantsFrame, to: string | null) =>
        this.#send(to === null ? wants : controlSubject(cluster, `wants.${to}`), this.#wire.wants(frame), 0),
    };
    this.#own = new OwnWants(told);
    this.#others = new OtherWants(told);
    this.#hub = createMemoryHub({ clock, ...(options.onError === undefined ? {} : { onError: options.onError }) });
    this.#local = this.#hub.attach();
    this.#refusals = new Refusals(this.#counters, log, clock);
    this.#interest = new Interest((error) => this.#refusals.failed(error));
    this.#inbox = new Inbox(this.#interest, this.#counters, this.#refusals);
    this.#outbox = new Outbox({
      clock,
      counters: this.#counters,
      heldBytesMax: options.heldBytesMax ?? 16 * 1024 * 1024,
      heldMsMax: options.heldMsMax ?? 5000,
      windowBytes: options.windowBytes ?? 4 * 1024 * 1024,
      refused: (error) => this.#refusals.failed(error),
    });
    this.#topics = new Topics({
      cluster,
      kind: options.kind ?? "nats",
      busOf: options.busOf,
      refused: (error) => this.#refusals.badTopic(error),
    });
    this.#hop = new Hop(clock);
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
      wants: () => this.#own.version,
      heard: (node, version) => this.#others.hear(node, version),
      greeted: (node) => this.#own.tellAll(node),
      tick: () => this.#others.sweep(),
      send: (frame) => {
        this.#batches.flush();
        this.#own.flush();
        this.#send(
          heads,
          this.#wire.heads({ ...frame, wants: frame.wants === LEAVES ? LEAVES : this.#own.version }),
          0,
        );
      },
      begun: () => this.#asking.again(),
      gone: () => this.#asking.judge(),
    });
    this.#healing = new Healing({
      clock,
      link: () => this.link,
      stream: this.#stream,
      wire: this.#wire,
      topics: this.#topics,
      topicOf: options.topicOf,
      presence: this.#presence,
      failed: (error) => this.#refusals.failed(error),
    });
    this.#asking = new Asking({
      clock,
      node: this.#id,
      hub: this.#hub,
      presence: this.#presence,
      counters: this.#counters,
      timeoutMs: options.requestTimeoutMs ?? 1000,
      joinMs: this.#joinMs,
      ask: (frame) => {
        // What is wanted is told before: what is published behind the answer comes too.
        this.#own.flush();
        return this.#say(ask, this.#wire.ask(frame));
      },
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
    if (this.#leaves(topic)) this.#batches.add(header, topic, publication);
    this.#local.publish(header, topic, publication);
  }

  wanted(topic: string): boolean {
    return this.#local.wanted(topic) || this.#leaves(topic);
  }

  /** The stream keeps all, other nodes want what they said. */
  #leaves(topic: string): boolean {
    const { way } = this.#topics.of(topic);
    return way === "jetstream" || (way === "nats" && this.#others.wanted(topic));
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
    const { subject } = this.#topics.of(topic);
    if (subject === "") return subscription;
    this.#inbox.listen(subject, this.#wire.readBatch, (batch) => this.#deliver(topic, batch));
    this.#own.enter(topic);
    this.#healing.entered(topic);
    let open = true;
    return {
      close: () => {
        subscription.close();
        if (!open || this.#closed) return;
        open = false;
        this.#own.leave(topic);
        if (this.#inbox.leave(subject)) this.#healing.left(topic);
      },
    };
  }

  heads(receive: (head: Head) => void): Subscription {
    return this.#local.heads(receive);
  }

  request(request: StateRequest): Promise<StateReply | null> {
    if (this.#closed) return Promise.reject(busClosed());
    return this.#asking.request(request).catch(async (error: unknown) => {
      const reply = this.#closed ? null : await this.#healing.ask(request);
      if (reply === null) throw error;
      this.#counters.streamHeals++;
      return reply;
    });
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
      hopMs: this.#hop.worstMs(),
    };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#batches.flush();
    this.#presence.say(false, 0, LEAVES);
    this.#closed = true;
    this.#inbox.close();
    this.#presence.close();
    this.#asking.close();
    await this.#local.close();
    // What the stream was sent it may still acknowledge.
    const late = Promise.withResolvers<void>();
    const timer = this.#clock.after(CLOSE_MS_MAX, late.resolve);
    await Promise.race([late.promise, this.#stored.flushed().catch(() => undefined)]);
    timer.cancel();
    this.#stored.close();
    await this.link.close();
  }

  #listen(): void {
    const { heads, ask, wants } = this.#subjects;
    const answers = controlSubject(this.#cluster, `answer.${this.#id}`);
    const mine = controlSubject(this.#cluster, `wants.${this.#id}`);
    const { readHeads, readWants, readAsk, readAnswer } = this.#wire;
    this.#inbox.listen(heads, readHeads, (frame) => this.#heard(frame));
    for (const subject of [wants, mine]) this.#inbox.listen(subject, readWants, (frame) => this.#toldWants(frame));
    this.#inbox.listen(ask, readAsk, (frame) => this.#asking.asked(frame));
    this.#inbox.listen(answers, readAnswer, (frame) => this.#asking.answered(frame));
  }

  #up(connection: NatsConnection): void {
    this.#maxPayload = connection.info?.max_payload ?? this.#maxPayload;
    this.#interest.up(connection);
    this.#outbox.up(connection);
    this.#stored.up(connection);
    this.#others.up(this.#joinMs);
    this.#own.up();
    this.#presence.say(true);
    this.#asking.up();
  }

  #down(): void {
    this.#interest.down();
    this.#outbox.down();
    this.#own.down();
    this.#stored.down();
    this.#asking.down();
    this.#inbox.down();
  }

  /** False if there is no connection to say it on. */
  #say(subject: string, bytes: Uint8Array): boolean {
    this.#send(subject, bytes, 0);
    return this.link.connection !== null;
  }

  #send(subject: string, bytes: Uint8Array, publications: number): void {
    this.#outbox.push(subject, this.#split(bytes), publications, publications > 0);
  }

  #sendOn(topic: string, bytes: Uint8Array, publications: number, id: string): void {
    const { subject, way } = this.#topics.of(topic);
    if (way === "jetstream") this.#stored.push(subject, this.#split(bytes), publications, id);
    else this.#send(subject, bytes, publications);
  }

  #split(bytes: Uint8Array): Uint8Array[] {
    const part = { sender: this.#sender, message: this.#messages++ % 2 ** 32 };
    return split(bytes, this.#maxPayload - HEADERS_MAX, part, this.#wire.writes);
  }

  // --- what comes in ----------------------------------------------------------------------------------------------

  #deliver(topic: string, batch: ReceivedBatch): void {
    this.#counters.publicationsIn += batch.publications.length;
    this.#hop.note(batch.sentUs);
    this.#healing.heard(topic);
    this.#hub.deliver(topic, batch);
  }

  #heard(frame: HeadsFrame): void {
    this.#presence.hear(frame);
    for (const head of frame.heads) this.#hub.deliverHead(head);
  }

  #toldWants(frame: WantsFrame): void {
    if (frame.asks === this.#id) this.#own.tellAll(frame.node);
    this.#others.take(frame);
  }
}

const CLOSE_MS_MAX = 1000;
/** Room for what stands before a message of the stream. */
const HEADERS_MAX = 1024;
const STREAM_DEFAULTS: StreamSettings = { maxAgeSeconds: 600, maxBytes: 1024 ** 3, storage: "file", replicas: 1 };

const busClosed = (): GatewayError => new GatewayError("BUS_CLOSED", "the bus of this node is closed");
