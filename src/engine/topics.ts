/**
 * The table of topics: every open stream of encoded bytes, its number in the ring, and the workers that use it.
 *
 * Invariants: a number is never used twice; ANNOUNCE precedes every other record of a topic; a topic without a worker is
 * closed.
 */
import type { Channel } from "../channel/channel.ts";
import type { ChannelEncoder, EncoderFactory } from "../protocol/encoder.ts";
import { RecordKind, type TopicInfo, type TopicKey } from "../ring/messages.ts";
import type { RingWriter } from "../ring/ring.ts";

export interface Topic {
  readonly number: number;
  readonly info: TopicInfo;
  readonly encoder: ChannelEncoder;
  readonly workers: Set<number>;
}

export class Topics {
  readonly #byKey = new Map<string, Topic>();
  readonly #byNumber = new Map<number, Topic>();
  #next = 1;
  readonly #ring: RingWriter;
  readonly #encoders: Readonly<Record<TopicKey["dialect"], EncoderFactory>>;

  constructor(ring: RingWriter, encoders: Readonly<Record<TopicKey["dialect"], EncoderFactory>>) {
    this.#ring = ring;
    this.#encoders = encoders;
  }

  /** The open topic of the key for this worker; opens and announces it if need be. */
  open(channel: Channel, key: TopicKey, worker: number): { topic: Topic; fresh: boolean } {
    const id = `${channel.name} ${key.rung} ${key.dialect} ${key.timeUnit}`;
    const known = this.#byKey.get(id);
    if (known) {
      known.workers.add(worker);
      return { topic: known, fresh: false };
    }
    const { rung, dialect, timeUnit } = key;
    const topic: Topic = {
      number: this.#next++,
      info: { channel: channel.name, rung, dialect, timeUnit, market: channel.market, family: channel.family },
      encoder: this.#encoders[dialect](channel, { dialect, timeUnit }),
      workers: new Set([worker]),
    };
    this.#byKey.set(id, topic);
    this.#byNumber.set(topic.number, topic);
    this.announce(topic);
    return { topic, fresh: true };
  }

  announce(topic: Topic): void {
    this.#ring.write(RecordKind.ANNOUNCE, { topic: topic.number }, JSON.stringify(topic.info));
  }

  get(number: number): Topic | undefined {
    return this.#byNumber.get(number);
  }

  /** Takes a worker off a topic; true if that closed it. */
  leave(topic: Topic, worker: number): boolean {
    topic.workers.delete(worker);
    if (topic.workers.size > 0 || this.#byNumber.get(topic.number) !== topic) return false;
    const { channel, rung, dialect, timeUnit } = topic.info;
    this.#byKey.delete(`${channel} ${rung} ${dialect} ${timeUnit}`);
    this.#byNumber.delete(topic.number);
    return true;
  }

  all(): IterableIterator<Topic> {
    return this.#byNumber.values();
  }

  get size(): number {
    return this.#byNumber.size;
  }
}
