/**
 * The memory bus: hands publications on inside one process, and to several "nodes" of it for tests and the simulation.
 *
 * On the path: pipeline -> MEMORY BUS -> follower -> engine, synchronously, in the same turn, without copying.
 * Invariants: order per topic is the call order, also when a receiver publishes while it is being called (its publication
 * waits its turn); requests are answered in a microtask, never inside the call; a receiver that throws harms no other.
 * At the limit: more than `nestedMax` publications made from inside receivers are dropped and counted (followers heal it).
 */
import { type Clock, systemClock, type Timer } from "../lib/clock.ts";
import { GatewayError } from "../lib/errors.ts";
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
} from "./bus.ts";
import { createCodec } from "./envelope.ts";
import { type Faults, withFaults } from "./faults.ts";

export interface MemoryBusOptions {
  readonly clock?: Clock;
  /** Sends everything through the envelope codec, so that tests see what a wire would do to it. */
  readonly throughBytes?: boolean;
  /** Loses, repeats and delays what each node receives. */
  readonly faults?: Faults;
  /** How long a request waits when no owner answers. Default 1000. */
  readonly requestTimeoutMs?: number;
  /** A receiver or owner threw. Default: thrown again on its own, as an uncaught error of the process. */
  readonly onError?: (error: unknown) => void;
}

export interface MemoryHub {
  /** One more node on this hub. */
  attach(name?: string): Bus;
  /** Publications dropped by `nestedMax`, messages refused by the codec. */
  readonly counters: { nestedDrops: number; malformed: number };
  /** For a bus that reaches further: what came from elsewhere to the receivers here, in line with what is made here. */
  deliver(topic: string, message: BusMessage): void;
  deliverHead(head: Head): void;
  /** Owners are registered here. */
  readonly serving: boolean;
  /** As the owners here answer; null if all know nothing of the channel; undefined if there are none, or one failed. */
  answer(request: StateRequest): StateReply | null | undefined;
  /** The HEAD of this moment of a shard owned here; null if it is not. */
  headNow(shard: string): Head | null;
}

const CONNECTED: BusState = { name: "connected" };
const NESTED_MAX = 100_000;
const REQUEST_TIMEOUT_MS = 1000;

interface Owner {
  readonly shard: string;
  readonly answer: StateHandler;
  readonly head: HeadHandler | undefined;
}
interface Waiting {
  readonly request: StateRequest;
  readonly node: MemoryNode;
  readonly resolve: (reply: StateReply | null) => void;
  readonly reject: (error: GatewayError) => void;
  timer: Timer | null;
}

/** A bus for one node. */
export const createMemoryBus = (options: MemoryBusOptions = {}): Bus => createMemoryHub(options).attach();

export function createMemoryHub(options: MemoryBusOptions = {}): MemoryHub {
  const hub = new Hub(options);
  return {
    counters: hub.counters,
    deliver: (topic, message) => hub.deliver(topic, message),
    deliverHead: (head) => hub.head(head),
    get serving() {
      return hub.owners.length > 0;
    },
    answer: (request) => hub.askOwners(request),
    headNow: (shard) => hub.headNow(shard),
    attach(name) {
      const node = name ?? `node${++hub.nodes}`;
      const bus = new MemoryNode(hub);
      if (options.faults === undefined) return bus;
      return withFaults(bus, {
        node,
        clock: hub.clock,
        faults: options.faults,
        requestTimeoutMs: hub.requestTimeoutMs,
      });
    },
  };
}

class Hub {
  nodes = 0;
  readonly counters = { nestedDrops: 0, malformed: 0 };
  readonly clock: Clock;
  readonly requestTimeoutMs: number;
  /** Replaced, never changed, so that a list can be walked while receivers come and go. */
  readonly topics = new Map<string, readonly Receiver<BusMessage>[]>();
  headReceivers: readonly Receiver<Head>[] = [];
  /** The newest owner first: after a take-over it answers before the old one. */
  owners: readonly Owner[] = [];
  readonly waiting = new Set<Waiting>();
  readonly #codec = createCodec();
  readonly #throughBytes: boolean;
  readonly #onError: (error: unknown) => void;
  #delivering = false;
  readonly #nested: (() => void)[] = [];

  constructor(options: MemoryBusOptions) {
    this.clock = options.clock ?? systemClock();
    this.requestTimeoutMs = options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS;
    this.#throughBytes = options.throughBytes ?? false;
    this.#onError = options.onError ?? throwAlone;
  }

  publish(header: ShardHeader, topic: string, publication: BusMessage["publications"][number]): void {
    const receivers = this.topics.get(topic);
    if (receivers === undefined) return;
    const { version, shard, token, epoch } = header;
    this.#send(receivers, { version, shard, token, epoch, publications: [publication] }, this.#messageThroughBytes);
  }

  deliver(topic: string, message: BusMessage): void {
    const receivers = this.topics.get(topic);
    if (receivers !== undefined) this.#send(receivers, message, this.#messageThroughBytes);
  }

  head(head: Head): void {
    this.#send(this.headReceivers, head, this.#headThroughBytes);
  }

  #send<T>(receivers: readonly Receiver<T>[], value: T, throughBytes: (value: T) => T | GatewayError): void {
    if (this.#delivering) {
      if (this.#nested.length >= NESTED_MAX) this.counters.nestedDrops++;
      else this.#nested.push(() => this.#hand(receivers, value, throughBytes));
      return;
    }
    this.#delivering = true;
    try {
      this.#hand(receivers, value, throughBytes);
      if (this.#nested.length > 0) this.#handNested();
    } finally {
      this.#delivering = false;
    }
  }

  #handNested(): void {
    for (let i = 0; i < this.#nested.length; i++) this.#nested[i]!();
    this.#nested.length = 0;
  }

  #hand<T>(receivers: readonly Receiver<T>[], value: T, throughBytes: (value: T) => T | GatewayError): void {
    for (let i = 0; i < receivers.length; i++) {
      const receiver = receivers[i]!;
      if (receiver.closed) continue;
      const received = this.#throughBytes ? throughBytes(value) : value;
      if (received instanceof GatewayError) {
        this.counters.malformed++;
        continue;
      }
      try {
        receiver.receive(received);
      } catch (error) {
        this.#onError(error);
      }
    }
  }

  readonly #messageThroughBytes = (message: BusMessage) =>
    this.#codec.decodeMessage(this.#codec.encodeMessage(message));
  readonly #headThroughBytes = (head: Head) => this.#codec.decodeHead(this.#codec.encodeHead(head));

  headNow(shard: string): Head | null {
    return this.owners.find((one) => one.shard === shard)?.head?.() ?? null;
  }

  throughBytesOf(head: Head): Head {
    const received = this.#throughBytes ? this.#headThroughBytes(head) : head;
    if (received instanceof GatewayError) throw received;
    return received;
  }

  /** Asks every owner; settles the request unless nobody could answer, then it waits for an owner or its timeout. */
  ask(waiting: Waiting): void {
    if (!this.waiting.has(waiting)) return;
    const reply = this.askOwners(waiting.request);
    if (reply !== undefined) {
      this.settle(waiting, () => waiting.resolve(reply));
      return;
    }
    waiting.timer ??= this.clock.after(this.requestTimeoutMs, () =>
      this.settle(waiting, () => waiting.reject(noAnswer(waiting.request.channel))),
    );
  }

  /** The first answer of an owner that knows the channel; null if all know nothing of it; undefined if one did not say. */
  askOwners(request: StateRequest): StateReply | null | undefined {
    let all = this.owners.length > 0;
    for (const owner of this.owners) {
      const reply = this.#askOwner(owner, request);
      if (reply === undefined) all = false;
      else if (reply !== null) return reply;
    }
    return all ? null : undefined;
  }

  /** The owner's answer; undefined if it failed to give one. */
  #askOwner(owner: Owner, request: StateRequest): StateReply | null | undefined {
    try {
      if (!this.#throughBytes) return owner.answer(request);
      const asked = this.#codec.decodeRequest(this.#codec.encodeRequest(request));
      if (asked instanceof GatewayError) throw asked;
      const reply = this.#codec.decodeReply(this.#codec.encodeReply(owner.answer(asked)));
      if (reply instanceof GatewayError) throw reply;
      return reply;
    } catch (error) {
      this.#onError(error);
      return undefined;
    }
  }

  settle(waiting: Waiting, how: () => void): void {
    if (!this.waiting.delete(waiting)) return;
    waiting.timer?.cancel();
    how();
  }
}

class Receiver<T> {
  closed = false;
  readonly receive: (value: T) => void;
  constructor(receive: (value: T) => void) {
    this.receive = receive;
  }
}

class MemoryNode implements Bus {
  readonly #hub: Hub;
  readonly #open = new Set<Subscription>();
  #closed = false;

  constructor(hub: Hub) {
    this.#hub = hub;
  }

  publish(header: ShardHeader, topic: string, publication: BusMessage["publications"][number]): void {
    if (!this.#closed) this.#hub.publish(header, topic, publication);
  }

  wanted(topic: string): boolean {
    return this.#hub.topics.has(topic);
  }

  head(head: Head): void {
    if (!this.#closed) this.#hub.head(head);
  }

  serve(shard: string, answer: StateHandler, head?: HeadHandler): Subscription {
    const hub = this.#hub;
    const owner: Owner = { shard, answer, head };
    hub.owners = [owner, ...hub.owners];
    for (const waiting of hub.waiting) queueMicrotask(() => hub.ask(waiting));
    return this.#keep(() => {
      hub.owners = hub.owners.filter((other) => other !== owner);
    });
  }

  subscribe(topic: string, receive: (message: BusMessage) => void): Subscription {
    const { topics } = this.#hub;
    const receiver = new Receiver(receive);
    topics.set(topic, [...(topics.get(topic) ?? []), receiver]);
    return this.#keep(() => {
      receiver.closed = true;
      const rest = (topics.get(topic) ?? []).filter((other) => other !== receiver);
      if (rest.length === 0) topics.delete(topic);
      else topics.set(topic, rest);
    });
  }

  heads(receive: (head: Head) => void): Subscription {
    const hub = this.#hub;
    const receiver = new Receiver(receive);
    hub.headReceivers = [...hub.headReceivers, receiver];
    return this.#keep(() => {
      receiver.closed = true;
      hub.headReceivers = hub.headReceivers.filter((other) => other !== receiver);
    });
  }

  request(request: StateRequest): Promise<StateReply | null> {
    const hub = this.#hub;
    if (this.#closed) return Promise.reject(busClosed());
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { request, node: this, resolve, reject, timer: null };
      hub.waiting.add(waiting);
      queueMicrotask(() => hub.ask(waiting));
    });
  }

  async headOf(shard: string): Promise<Head> {
    if (this.#closed) throw busClosed();
    await null;
    const head = this.#hub.headNow(shard);
    if (head === null) throw new GatewayError("BUS_NO_ANSWER", `no owner of ${shard} answered`);
    return this.#hub.throughBytesOf(head);
  }

  flushed(): Promise<void> {
    return Promise.resolve();
  }

  state(): BusState {
    return CONNECTED;
  }

  close(): Promise<void> {
    this.#closed = true;
    for (const subscription of [...this.#open]) subscription.close();
    for (const waiting of [...this.#hub.waiting]) {
      if (waiting.node === this) this.#hub.settle(waiting, () => waiting.reject(busClosed()));
    }
    return Promise.resolve();
  }

  #keep(end: () => void): Subscription {
    if (this.#closed) {
      end();
      throw busClosed();
    }
    const subscription: Subscription = {
      close: () => {
        if (this.#open.delete(subscription)) end();
      },
    };
    this.#open.add(subscription);
    return subscription;
  }
}

const busClosed = (): GatewayError => new GatewayError("BUS_CLOSED", "the bus of this node is closed");
const noAnswer = (channel: string): GatewayError =>
  new GatewayError("BUS_NO_ANSWER", `no owner answered for ${channel} in time`);

function throwAlone(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
