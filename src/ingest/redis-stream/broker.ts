/**
 * Broker of type `redis-stream`: one input per stream key, read over few connections.
 *
 * On the path: Redis -> BROKER -> a source per key -> shard. One connection reads all keys (in a cluster one per hash slot,
 * and one more where two owners read the same key); another, shared, does everything else.
 * Invariants: keys need not exist yet; nothing connects before the first watch; what is wrong is in `status` within seconds.
 * At the limit: keys beyond KEYS_MAX of one pattern are left out and told; connections beyond READERS_MAX fail their source.
 */
import { wallMs } from "../../lib/clock.ts";
import { GatewayError } from "../../lib/errors.ts";
import { connectRedisFor, type RedisDial, RedisLink } from "../../lib/redis.ts";
import { slotOf } from "../../lib/redis-slot.ts";
import type { Broker, BrokerInput, BrokerState, BrokerStatus, BrokerTools, TopicPattern, Watch } from "../broker.ts";
import { sleep } from "../wait.ts";
import { DeadLetters } from "./dead-letters.ts";
import { Marks } from "./marks.ts";
import { type RedisStreamSettings, readRedisStreamProperties } from "./properties.ts";
import { Reader } from "./reader.ts";
import type { Reading } from "./reading.ts";
import { KeySource } from "./source.ts";

const KEYS_MAX = 10_000;
const READERS_MAX = 64;
/** Between two looks at the instruments, and at whether the server answers. */
const LOOK_MS = 1000;

interface Watched {
  readonly topic: TopicPattern;
  readonly changed: (inputs: readonly BrokerInput[]) => void;
  /** Null before they were told for the first time. */
  inputs: ReadonlyMap<string, BrokerInput> | null;
  /** Keys that are not read: there are too many. */
  left: number;
}

/** Throws GatewayError BROKER_PROPERTIES. */
export const createRedisStreamBroker = (tools: BrokerTools): Broker =>
  new RedisStreamBroker(tools, readRedisStreamProperties(tools));

class RedisStreamBroker implements Broker {
  readonly name: string;
  readonly #tools: BrokerTools;
  readonly #settings: RedisStreamSettings;
  readonly #dial: RedisDial;
  readonly #link: RedisLink;
  readonly #marks: Marks | null;
  readonly #deadLetters: DeadLetters | null;
  readonly #readers = new Set<{ readonly slot: number; readonly reader: Reader }>();
  readonly #readings = new Set<Reading>();
  readonly #watched = new Set<Watched>();
  readonly #abort = new AbortController();
  readonly #closed = Promise.withResolvers<void>();
  #state: BrokerState;
  #looking: Promise<void> | null = null;

  constructor(tools: BrokerTools, settings: RedisStreamSettings) {
    const { name, clock, random, log, resolveAddress } = tools;
    this.name = name;
    this.#tools = tools;
    this.#settings = settings;
    this.#dial = { target: settings.target, name: `tidegate-${name}`, clock, resolveAddress };
    this.#link = new RedisLink(this.#dial, random);
    this.#marks = settings.group === null ? null : new Marks(settings.group, name, this.#link, log);
    this.#deadLetters = settings.deadLetters === null ? null : new DeadLetters(settings.deadLetters, this.#link);
    this.#state = { name: "connecting", attempt: 1, retryAt: wallMs(clock), error: "" };
  }

  watch(topic: TopicPattern, changed: (inputs: readonly BrokerInput[]) => void): Watch {
    const watched: Watched = { topic, changed, inputs: null, left: 0 };
    this.#watched.add(watched);
    // Not inside the call: whoever watches has its Watch by then.
    queueMicrotask(() => this.#tell(watched));
    this.#looking ??= this.#look();
    return { close: () => void this.#watched.delete(watched) };
  }

  status(): BrokerStatus {
    const missing: { topic: string; reason: string }[] = [];
    for (const { key, exists, trouble } of this.#readings) {
      if (trouble !== null) missing.push({ topic: key, reason: trouble });
      else if (!exists) missing.push({ topic: key, reason: "there is no such key yet; it is read once there is" });
    }
    for (const { topic, left } of this.#watched) {
      if (left > 0) missing.push({ topic: topic.text, reason: `${left} keys are not read: ${KEYS_MAX} are the most` });
    }
    return { name: this.name, type: "redis-stream", state: this.#stateNow(), missing, counts: this.#counts() };
  }

  async close(): Promise<void> {
    this.#abort.abort();
    this.#watched.clear();
    this.#closed.resolve();
    for (const reading of this.#readings) reading.end();
    await Promise.all([...this.#readers].map(({ reader }) => reader.close()));
    await this.#link.close();
    await this.#looking;
  }

  #counts(): Record<string, number> {
    const marks = this.#marks;
    const letters = this.#deadLetters;
    return {
      ...(marks === null ? {} : { commits: marks.written, "commit errors": marks.failures }),
      ...(letters === null ? {} : { "dead letters": letters.sent, "dead letters dropped": letters.leftOut }),
    };
  }

  /** What is wrong comes first. */
  #stateNow(): BrokerState {
    if (this.#state.name !== "connected") return this.#state;
    for (const { reader } of this.#readers) {
      if (reader.state.name === "connecting" && reader.state.error !== "") return reader.state;
    }
    return this.#state;
  }

  /** Asks for new instruments, and whether the server answers, until the broker is closed. */
  async #look(): Promise<void> {
    const { clock } = this.#tools;
    const { signal } = this.#abort;
    let attempt = 0;
    while (!signal.aborted) {
      try {
        await this.#link.call("PING", []);
        attempt = 0;
        this.#state = { name: "connected" };
      } catch (error) {
        attempt++;
        const said = error instanceof Error ? error.message : String(error);
        this.#state = { name: "connecting", attempt, retryAt: wallMs(clock) + LOOK_MS, error: said };
      }
      await sleep(clock, LOOK_MS, signal);
      for (const watched of this.#watched) this.#tell(watched);
    }
  }

  /** Tells the inputs if they are others than before. */
  #tell(watched: Watched): void {
    if (!this.#watched.has(watched)) return;
    const all = new Set(watched.topic.topics());
    const keys = [...all].slice(0, KEYS_MAX);
    watched.left = all.size - keys.length;
    const before = watched.inputs;
    if (before !== null && keys.length === before.size && keys.every((key) => before.has(key))) return;
    const inputs = new Map(keys.map((key) => [key, before?.get(key) ?? this.#input(key)]));
    watched.inputs = inputs;
    watched.changed([...inputs.values()]);
  }

  #input(key: string): BrokerInput {
    return {
      id: key,
      topic: key,
      open: () =>
        new KeySource({
          ...{ key, tools: this.#tools, settings: this.#settings, marks: this.#marks, deadLetters: this.#deadLetters },
          attach: (reading) => this.#attach(reading),
          detach: (reading, reader) => this.#detach(reading, reader),
          closed: this.#closed.promise,
        }),
    };
  }

  #attach(reading: Reading): Reader {
    const { key } = reading;
    const slot = this.#settings.target.cluster ? slotOf(key) : 0;
    let entry = [...this.#readers].find((one) => one.slot === slot && !one.reader.has(key));
    if (entry === undefined) {
      if (this.#readers.size >= READERS_MAX) {
        const cure = "give the keys one hash tag, such as {md}:trade:btcusdt";
        throw new GatewayError("REDIS_CLUSTER", `${key}: more than ${READERS_MAX} hash slots are read: ${cure}`);
      }
      const { name, clock, random, log } = this.#tools;
      const connect = () => connectRedisFor(this.#dial, key);
      const reader = new Reader({ source: name, count: this.#settings.count, connect, clock, random, log });
      entry = { slot, reader };
      this.#readers.add(entry);
    }
    this.#readings.add(reading);
    entry.reader.add(reading);
    return entry.reader;
  }

  #detach(reading: Reading, reader: Reader): void {
    this.#readings.delete(reading);
    reader.remove(reading);
    if (reader.size > 0) return;
    for (const entry of this.#readers) if (entry.reader === reader) this.#readers.delete(entry);
    // Its loop ends by itself; a connection it waits for is closed at once.
    void reader.close();
  }
}
