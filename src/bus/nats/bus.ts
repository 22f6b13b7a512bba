/**
 * The bus over NATS: what is published here reaches receivers of this node at once, and all others through the server.
 *
 *     publish -> receivers here (memory.ts)
 *             -> outgoing -> NATS -> interest -> inbox -> receivers there
 *
 * Subjects: `tg.<cluster>.<fanout topic>` for publications; those of peers.ts between nodes.
 * Invariants: order per topic is the call order; this node never hears itself through the server; a message of a topic
 * that nobody wants here is never decoded.
 * At the limit: without a connection everything goes on inside this node; what should leave waits within bounds
 * (outbox.ts); what cannot be read is counted and told once a second; followers heal all of it.
 */
import type { NatsConnection } from "@nats-io/transport-node";
import type { Publication } from "../../channel/types.ts";
import { systemClock } from "../../lib/clock.ts";
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
import { newCounters } from "./counters.ts";
import { Healing } from "./healing.ts";
import { Hop } from "./hop.ts";
import { Inbox } from "./inbox.ts";
import { Interest } from "./interest.ts";
import type { NatsBus, NatsBusOptions, NatsBusStatus } from "./options.ts";
import { Outgoing } from "./outgoing.ts";
import { Peers } from "./peers.ts";
import { Refusals } from "./refusals.ts";
import { streamName } from "./stream.ts";
import { Topics } from "./topics.ts";
import { createWire, type ReceivedBatch, type Wire } from "./wire.ts";

/** Throws GatewayError NATS_ADDRESS or BAD_SUBJECT (cluster name); whatever is wrong later is told in `state()`. */
export const createNatsBus = (options: NatsBusOptions): NatsBus => new Node(options);

class Node implements NatsBus {
  readonly link: NatsLink;
  readonly #wire: Wire;
  readonly #hub: MemoryHub;
  /** The receivers and owners of this node. */
  readonly #local: Bus;
  readonly #counters = newCounters();
  readonly #refusals: Refusals;
  readonly #interest: Interest;
  readonly #inbox: Inbox;
  readonly #outgoing: Outgoing;
  readonly #peers: Peers;
  readonly #topics: Topics;
  readonly #healing: Healing;
  readonly #hop: Hop;
  #closed = false;
  #closing: Promise<void> | null = null;

  constructor(options: NatsBusOptions) {
    const { cluster, clock = systemClock(), random = Math.random, log } = options;
    const stream = streamName(cluster);
    const sender = Math.floor(random() * 2 ** 32);
    this.#wire = createWire(options.version, options.writes);
    this.#hub = createMemoryHub({ clock, ...(options.onError === undefined ? {} : { onError: options.onError }) });
    this.#local = this.#hub.attach();
    this.#refusals = new Refusals(this.#counters, log, clock);
    this.#interest = new Interest((error) => this.#refusals.failed(error));
    this.#inbox = new Inbox(this.#interest, this.#counters, this.#refusals);
    this.#topics = new Topics({
      cluster,
      kind: options.kind ?? "nats",
      busOf: options.busOf,
      refused: (error) => this.#refusals.badTopic(error),
    });
    this.#hop = new Hop(clock);
    this.#outgoing = new Outgoing({
      ...{ clock, sender, wire: this.#wire, topics: this.#topics, counters: this.#counters, stream, log },
      refused: (error) => this.#refusals.failed(error),
      settings: options,
    });
    this.#peers = new Peers({
      clock,
      node: sender.toString(36),
      wire: this.#wire,
      hub: this.#hub,
      inbox: this.#inbox,
      outgoing: this.#outgoing,
      counters: this.#counters,
      connected: () => this.link.connection !== null,
      settings: options,
    });
    this.#healing = new Healing({
      clock,
      link: () => this.link,
      stream,
      wire: this.#wire,
      topics: this.#topics,
      topicOf: options.topicOf,
      presence: this.#peers,
      failed: (error) => this.#refusals.failed(error),
    });
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
    if (this.#leaves(topic)) this.#outgoing.publish(header, topic, publication);
    this.#local.publish(header, topic, publication);
  }

  wanted(topic: string): boolean {
    return this.#local.wanted(topic) || this.#leaves(topic);
  }

  /** The stream keeps all, other nodes want what they said. */
  #leaves(topic: string): boolean {
    const { way } = this.#topics.of(topic);
    return way === "jetstream" || (way === "nats" && this.#peers.wanted(topic));
  }

  head(head: Head): void {
    if (this.#closed) return;
    this.#peers.head(head);
    this.#local.head(head);
  }

  serve(shard: string, answer: StateHandler, head?: HeadHandler): Subscription {
    const serving = this.#local.serve(shard, answer, head);
    this.#peers.served();
    let open = true;
    return {
      close: () => {
        serving.close();
        if (!open || this.#closed) return;
        open = false;
        this.#peers.unserved();
      },
    };
  }

  async flushed(): Promise<void> {
    this.#outgoing.flush();
    this.#peers.flush();
    await this.#outgoing.flushed();
  }

  busy(): Promise<void> | null {
    return this.#outgoing.busy();
  }

  // --- receivers --------------------------------------------------------------------------------------------------

  subscribe(topic: string, receive: (message: BusMessage) => void): Subscription {
    const subscription = this.#local.subscribe(topic, receive);
    const { subject } = this.#topics.of(topic);
    if (subject === "") return subscription;
    this.#inbox.listen(subject, this.#wire.readBatch, (batch) => this.#deliver(topic, batch));
    this.#peers.want(topic);
    this.#healing.entered(topic);
    let open = true;
    return {
      close: () => {
        subscription.close();
        if (!open || this.#closed) return;
        open = false;
        this.#peers.unwant(topic);
        if (this.#inbox.leave(subject)) this.#healing.left(topic);
      },
    };
  }

  heads(receive: (head: Head) => void): Subscription {
    return this.#local.heads(receive);
  }

  request(request: StateRequest): Promise<StateReply | null> {
    if (this.#closed) return Promise.reject(busClosed());
    return this.#peers.request(request).catch(async (error: unknown) => {
      const reply = this.#closed ? null : await this.#healing.ask(request);
      if (reply === null) throw error;
      this.#counters.streamHeals++;
      return reply;
    });
  }

  headOf(shard: string, timeoutMs: number): Promise<Head> {
    return this.#closed ? Promise.reject(busClosed()) : this.#peers.headOf(shard, timeoutMs);
  }

  // --- beside the path --------------------------------------------------------------------------------------------

  state(): BusState {
    const state = this.link.state();
    const { error } = this.#outgoing.storing;
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
      heldBytes: this.#outgoing.bytes,
      unacknowledged: this.#outgoing.storing.pending,
      storing: this.#outgoing.storing.ready,
      requestsOpen: this.#peers.requestsOpen,
      nodes: this.#peers.nodes,
      hopMs: this.#hop.worstMs(),
    };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    this.#outgoing.flush();
    this.#peers.leave();
    this.#closed = true;
    this.#inbox.close();
    this.#peers.close();
    await this.#local.close();
    await this.#outgoing.close();
    await this.link.close();
  }

  #up(connection: NatsConnection): void {
    this.#interest.up(connection);
    this.#outgoing.up(connection);
    this.#peers.up();
  }

  #down(): void {
    this.#interest.down();
    this.#outgoing.down();
    this.#peers.down();
    this.#inbox.down();
  }

  // --- what comes in ----------------------------------------------------------------------------------------------

  #deliver(topic: string, batch: ReceivedBatch): void {
    this.#counters.publicationsIn += batch.publications.length;
    this.#hop.note(batch.sentUs);
    this.#healing.heard(topic);
    this.#hub.deliver(topic, batch);
  }
}

const busClosed = (): GatewayError => new GatewayError("BUS_CLOSED", "the bus of this node is closed");
