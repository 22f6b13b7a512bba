/**
 * What leaves this node: publications in batches, through the outbox or the stream's line, and words to other nodes.
 *
 * On the path: bus -> OUTGOING (batches -> outbox | stored) -> connection. Invariants: what is said after `flush` comes
 * behind all that was published before, where both go through the outbox; what is larger than the server takes is split.
 * At the limit: see outbox.ts and stored.ts. Words are of their moment: without a connection they are dropped.
 */
import type { NatsConnection } from "@nats-io/transport-node";
import type { Publication } from "../../channel/types.ts";
import type { Clock } from "../../lib/clock.ts";
import type { Log } from "../../lib/log.ts";
import type { ShardHeader } from "../bus.ts";
import { subjectOf } from "../subject.ts";
import { Batches } from "./batches.ts";
import type { NatsBusCounters } from "./counters.ts";
import type { NatsBusOptions } from "./options.ts";
import { Outbox } from "./outbox.ts";
import { split } from "./parts.ts";
import { Stored } from "./stored.ts";
import { ensureStream, type StreamSettings } from "./stream.ts";
import type { Topics } from "./topics.ts";
import type { Wire } from "./wire.ts";

export interface OutgoingOptions {
  readonly clock: Clock;
  /** Tells the parts of this node's messages from those of others: a whole number below 2^32. */
  readonly sender: number;
  readonly wire: Wire;
  readonly topics: Pick<Topics, "of">;
  readonly counters: NatsBusCounters;
  /** Name of the cluster's stream. */
  readonly stream: string;
  readonly log: Pick<Log, "warn">;
  /** The library would not take a message. */
  readonly refused: (error: unknown) => void;
  readonly settings: NatsBusOptions;
}

const CLOSE_MS_MAX = 1000;
/** Room for what stands before a message of the stream. */
const HEADERS_MAX = 1024;
const STREAM_DEFAULTS: StreamSettings = { maxAgeSeconds: 600, maxBytes: 1024 ** 3, storage: "file", replicas: 1 };

export class Outgoing {
  readonly #options: OutgoingOptions;
  readonly #outbox: Outbox;
  readonly #stored: Stored;
  readonly #batches: Batches;
  #messages = 0;
  #maxPayload = 1024 * 1024;

  constructor(options: OutgoingOptions) {
    this.#options = options;
    const { clock, counters, wire, stream, log, refused, settings } = options;
    this.#outbox = new Outbox({
      clock,
      counters,
      heldBytesMax: settings.heldBytesMax ?? 16 * 1024 * 1024,
      heldMsMax: settings.heldMsMax ?? 5000,
      windowBytes: settings.windowBytes ?? 4 * 1024 * 1024,
      refused,
    });
    this.#stored = new Stored({
      clock,
      counters,
      bytesMax: settings.storedBytesMax ?? 64 * 1024 * 1024,
      everything: settings.kind === "jetstream" ? subjectOf(settings.cluster, "all").replace(/all$/, ">") : null,
      ensure: (connection, subjects) => ensureStream(connection, stream, subjects, settings.stream ?? STREAM_DEFAULTS),
      told: (error) => log.warn("the bus does not store publications", { stream, error }),
    });
    this.#batches = new Batches({
      clock,
      wire,
      lingerMs: settings.lingerMs ?? 1,
      batch: settings.batch ?? 100,
      send: (topic, bytes, publications, id) => this.#send(topic, bytes, publications, id),
    });
  }

  /** Bytes that wait or are not confirmed. */
  get bytes(): number {
    return this.#outbox.bytes + this.#stored.bytes;
  }

  /** How the stream keeps up. */
  get storing(): Pick<Stored, "error" | "ready" | "pending"> {
    return this.#stored;
  }

  up(connection: NatsConnection): void {
    this.#maxPayload = connection.info?.max_payload ?? this.#maxPayload;
    this.#outbox.up(connection);
    this.#stored.up(connection);
  }

  down(): void {
    this.#outbox.down();
    this.#stored.down();
  }

  publish(header: ShardHeader, topic: string, publication: Publication): void {
    this.#batches.add(header, topic, publication);
  }

  /** A word to other nodes: HEADs, wants, questions, answers. */
  say(subject: string, bytes: Uint8Array): void {
    this.#outbox.push(subject, this.#split(bytes), 0, false);
  }

  /** What waits for others of its topic goes in line now. */
  flush(): void {
    this.#batches.flush();
  }

  /** See Bus.flushed. */
  async flushed(): Promise<void> {
    await Promise.all([this.#outbox.flushed(), this.#stored.flushed()]);
  }

  /** See NatsBus.busy. */
  busy(): Promise<void> | null {
    return this.#stored.busy();
  }

  /** What the stream was sent it may still acknowledge, for CLOSE_MS_MAX. */
  async close(): Promise<void> {
    const late = Promise.withResolvers<void>();
    const timer = this.#options.clock.after(CLOSE_MS_MAX, late.resolve);
    await Promise.race([late.promise, this.#stored.flushed().catch(() => undefined)]);
    timer.cancel();
    this.#stored.close();
  }

  #send(topic: string, bytes: Uint8Array, publications: number, id: string): void {
    const { subject, way } = this.#options.topics.of(topic);
    const parts = this.#split(bytes);
    if (way === "jetstream") this.#stored.push(subject, parts, publications, id);
    else this.#outbox.push(subject, parts, publications, true);
  }

  #split(bytes: Uint8Array): Uint8Array[] {
    const { sender, wire } = this.#options;
    const part = { sender, message: this.#messages++ % 2 ** 32 };
    return split(bytes, this.#maxPayload - HEADERS_MAX, part, wire.writes);
  }
}
