/**
 * Where no owner answers: what is missing of a chain may be in the stream.
 *
 * Beside the path: request -> owners -> HEALING -> stream. Invariant: an epoch that no owner names any more is over, and is
 * not continued from the stream.
 */
import type { Clock } from "../../lib/clock.ts";
import type { NatsLink } from "../../lib/nats.ts";
import type { StateReply, StateRequest } from "../bus.ts";
import type { Presence } from "./presence.ts";
import { replay } from "./replay.ts";
import type { Topics } from "./topics.ts";
import type { Wire } from "./wire.ts";

export interface HealingOptions {
  readonly clock: Clock;
  readonly link: () => NatsLink;
  readonly stream: string;
  readonly wire: Wire;
  readonly topics: Pick<Topics, "of">;
  readonly topicOf: ((channel: string, user: string) => string) | undefined;
  readonly presence: Pick<Presence, "isCurrent">;
  readonly failed: (error: unknown) => void;
}

/** Reading begins so long before the last message that came; that is at most so long ago. */
const BACK_MS = 2000;
const BACK_MS_MAX = 60_000;

export class Healing {
  readonly #options: HealingOptions;
  /** When a message of a persistent topic came last, wall clock in ms. */
  readonly #heardAt = new Map<string, number>();

  constructor(options: HealingOptions) {
    this.#options = options;
  }

  heard(topic: string): void {
    const { topics, clock } = this.#options;
    if (topics.of(topic).way === "jetstream") this.#heardAt.set(topic, clock.wallUs() / 1000);
  }

  left(topic: string): void {
    this.#heardAt.delete(topic);
  }

  /** What the stream has behind `since`; null if that does not continue the chain. Never rejects. */
  async ask(request: StateRequest): Promise<StateReply | null> {
    const { topicOf, topics, presence, link, clock, stream, wire, failed } = this.#options;
    const topic = topicOf?.(request.channel, request.user);
    const { connection } = link();
    if (topic === undefined || request.since === null || connection === null) return null;
    const { subject, way } = topics.of(topic);
    if (way !== "jetstream" || !presence.isCurrent(request.since.epoch)) return null;
    const now = clock.wallUs() / 1000;
    const fromMs = Math.max(now - BACK_MS_MAX, this.#heardAt.get(topic) ?? 0) - BACK_MS;
    try {
      return await replay({ connection, stream, subject, wire, request, fromMs });
    } catch (error) {
      failed(error);
      return null;
    }
  }
}
