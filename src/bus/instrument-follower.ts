/**
 * Instruments over the bus: what the owners of other shards have learned, so that their channels are known on this node too.
 *
 * Beside the path: HEADs -> INSTRUMENT FOLLOWER -> the instruments registry. A HEAD carries only a number; who has seen less
 * asks for what changed behind that (bus.ts, `instrumentsOf`).
 * Invariants: one question per shard at a time; a former owner is not believed; what is handed on has the shape of an
 * instrument. At the limit: a question that fails is asked again with the next HEAD, so at most twice a second and shard.
 */
import { type Instrument, isInstrument } from "../channel/instruments.ts";
import { type Bus, type Head, instrumentsOf, type StateReply } from "./bus.ts";

export interface InstrumentFollowerOptions {
  readonly bus: Pick<Bus, "heads" | "request">;
  /** A shard of this node: it knows those already. */
  readonly isOwn: (shard: string) => boolean;
  readonly take: (instrument: Instrument, shard: string) => void;
  /** An owner's answer cannot be used. */
  readonly refused: (shard: string, reason: string) => void;
}

interface Known {
  token: number;
  /** Number of the newest change that was handed on. */
  number: number;
  /** What the last HEAD said. */
  wanted: number;
  asking: boolean;
}

export class InstrumentFollower {
  readonly #options: InstrumentFollowerOptions;
  readonly #shards = new Map<string, Known>();
  readonly #heads: { close(): void };
  #closed = false;

  constructor(options: InstrumentFollowerOptions) {
    this.#options = options;
    this.#heads = options.bus.heads((head) => this.#onHead(head));
  }

  /** Nothing that a HEAD has named is missing. */
  get complete(): boolean {
    return [...this.#shards.values()].every(({ number, wanted }) => number >= wanted);
  }

  close(): void {
    this.#closed = true;
    this.#heads.close();
  }

  #onHead({ shard, token, instruments = 0 }: Head): void {
    if (instruments === 0 || this.#options.isOwn(shard)) return;
    let known = this.#shards.get(shard);
    if (known === undefined || token > known.token) {
      known = { token, number: 0, wanted: 0, asking: false };
      this.#shards.set(shard, known);
    }
    if (token < known.token) return;
    known.wanted = instruments;
    if (!known.asking && known.number < instruments) void this.#ask(shard, known);
  }

  /** Asks until nothing is missing, or an answer brings nothing new. */
  async #ask(shard: string, known: Known): Promise<void> {
    known.asking = true;
    try {
      while (known.number < known.wanted && (await this.#askOnce(shard, known))) if (this.#closed) return;
    } catch (error) {
      // Nobody answers just now: the next HEAD asks again.
      this.#options.refused(shard, error instanceof Error ? error.message : String(error));
    } finally {
      known.asking = false;
    }
  }

  async #askOnce(shard: string, known: Known): Promise<boolean> {
    const since = known.number === 0 ? null : { epoch: String(known.token), seq: known.number };
    const reply = await this.#options.bus.request({ channel: instrumentsOf(shard), user: "", since });
    if (this.#closed || reply === null || reply.token !== known.token || reply.seq === null) return false;
    for (const instrument of instrumentsIn(reply)) this.#options.take(instrument, shard);
    const isProgress = reply.seq > known.number;
    known.number = Math.max(known.number, reply.seq);
    return isProgress;
  }
}

/** Those of a reply that have the shape; an owner of another build may send what we do not know. */
function instrumentsIn({ state }: StateReply): Instrument[] {
  if (state?.type !== "items") return [];
  return state.data.flatMap((item) => {
    const text = "json" in item ? item.json : "";
    const parsed: unknown = parse(text);
    return isInstrument(parsed) ? [parsed] : [];
  });
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
