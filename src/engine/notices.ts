/**
 * What a channel says to its topics beside its publications: that it is stale or fresh, that its sessions must be closed,
 * that an epoch begins.
 *
 * On the path: channel state -> NOTICES -> ring (CONTROL, and frames outside the chain).
 * Invariant: native clients are told in frames; of staleness Binance's hear nothing, so the workers are told who saw it.
 */
import type { StaleReason } from "../channel/types.ts";
import { CLOSES } from "../protocol/codes.ts";
import type { Control } from "../ring/messages.ts";
import type { Rung } from "./rung.ts";
import type { Topic } from "./topics.ts";

export class Notices {
  readonly #channel: string;
  readonly #rungs: ReadonlyMap<unknown, Rung>;
  readonly #control: (control: Control) => void;

  constructor(channel: string, rungs: ReadonlyMap<unknown, Rung>, control: (control: Control) => void) {
    this.#channel = channel;
    this.#rungs = rungs;
    this.#control = control;
  }

  stale(): void {
    for (const rung of this.#rungs.values()) {
      rung.tell((topic) => topic.encoder.stale());
      for (const { number } of binanceTopics(rung)) this.#control({ do: "stale", topic: number });
    }
  }

  fresh(): void {
    for (const rung of this.#rungs.values())
      for (const { number } of binanceTopics(rung)) this.#control({ do: "fresh", topic: number });
  }

  /** Closes who saw it turn stale. */
  closeStale(why: StaleReason): void {
    const { code } = CLOSES.RESTART;
    const reason = `${this.#channel} is stale: ${why}`;
    for (const rung of this.#rungs.values())
      for (const { number } of binanceTopics(rung)) this.#control({ do: "closeStale", topic: number, code, reason });
  }

  /** The workers' own answers name the new epoch from here on. */
  epoch(epoch: string): void {
    for (const rung of this.#rungs.values())
      for (const { number } of rung.topics) this.#control({ do: "epoch", topic: number, epoch });
  }

  /** Closes the Binance sessions of a rung. */
  closeBinance(rung: Rung): void {
    for (const topic of binanceTopics(rung)) this.close(topic);
  }

  /** Closes everybody on the topic. */
  close(topic: Topic): void {
    const { code, message } = CLOSES.RESTART;
    this.#control({ do: "closeTopic", topic: topic.number, code, reason: `${this.#channel}: ${message}` });
  }
}

const binanceTopics = (rung: Rung): readonly Topic[] => rung.topics.filter(({ info }) => info.dialect === "binance");
