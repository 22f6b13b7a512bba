/**
 * Batches: publications of one topic and one owner that leave in one message.
 *
 * On the path: publish -> BATCHES -> outbox. A publication is made JSON once, when it comes; a message is those joined.
 * Invariants: order per topic is the call order; a batch leaves `lingerMs` after its first publication at the latest, or
 * when it holds `batch` of them or `BYTES` of text, or when somebody else publishes on the topic.
 */
import type { Publication } from "../../channel/types.ts";
import type { Clock, Timer } from "../../lib/clock.ts";
import type { ShardHeader } from "../bus.ts";
import type { Wire } from "./wire.ts";

export interface BatchesOptions {
  readonly clock: Clock;
  readonly wire: Wire;
  readonly lingerMs: number;
  readonly batch: number;
  /** `id` names the message: shard, epoch, channel and seqs in it. */
  readonly send: (topic: string, bytes: Uint8Array, publications: number, id: string) => void;
}

const TEXT_MAX = 64 * 1024;

interface Batch {
  readonly header: ShardHeader;
  readonly first: Publication;
  last: Publication;
  readonly texts: string[];
  length: number;
}

export class Batches {
  readonly #options: BatchesOptions;
  readonly #open = new Map<string, Batch>();
  #timer: Timer | null = null;

  constructor(options: BatchesOptions) {
    this.#options = options;
  }

  add(header: ShardHeader, topic: string, publication: Publication): void {
    const { lingerMs, batch, clock } = this.#options;
    const text = JSON.stringify(publication);
    let open = this.#open.get(topic);
    if (open !== undefined && !isSame(open.header, header)) {
      this.#close(topic, open);
      open = undefined;
    }
    if (open === undefined) {
      open = { header, first: publication, last: publication, texts: [], length: 0 };
      this.#open.set(topic, open);
    }
    open.texts.push(text);
    open.last = publication;
    open.length += text.length;
    if (open.texts.length >= batch || open.length >= TEXT_MAX) this.#close(topic, open);
    else this.#timer ??= clock.after(lingerMs, () => this.flush());
  }

  /** Everything leaves now. */
  flush(): void {
    this.#timer?.cancel();
    this.#timer = null;
    for (const [topic, open] of this.#open) this.#close(topic, open);
  }

  #close(topic: string, { header, first, last, texts }: Batch): void {
    this.#open.delete(topic);
    const { wire, clock, send } = this.#options;
    const id = `${header.shard}/${header.epoch}/${first.channel}/${first.user}/${first.seq}-${last.channel}/${last.seq}`;
    send(topic, wire.batch(header, clock.wallUs(), texts), texts.length, id);
  }
}

const isSame = (a: ShardHeader, b: ShardHeader): boolean =>
  a === b || (a.shard === b.shard && a.epoch === b.epoch && a.token === b.token);
