/**
 * What was asked and answered within one moment: equal requests are answered once, and each channel is asked for once.
 *
 * On the path: rest.ts -> MOMENT -> the node.
 * Invariants: a moment lasts MOMENT_MS, and everything in it was asked for after it began, so no reply served from it is
 * older than that. At the limit: beyond REPLIES_MAX different requests a moment the further ones are not remembered.
 */
import type { Clock } from "../../../lib/clock.ts";
import type { BinanceRestPorts, Kept } from "./ports.ts";

/** DESIGN 10: replies other than depth are at most this old. */
const MOMENT_MS = 50;
const REPLIES_MAX = 10_000;

export class Moments {
  readonly #clock: Clock;
  readonly #ask: BinanceRestPorts["kept"];
  #beganMs = Number.NEGATIVE_INFINITY;
  #replies = new Map<string, Promise<string>>();
  #kept = new Map<string, Promise<Kept | null>>();

  constructor(ports: Pick<BinanceRestPorts, "clock" | "kept">) {
    this.#clock = ports.clock;
    this.#ask = ports.kept;
  }

  /** The body of the same request of this moment, or the one that `make` makes. */
  reply(request: string, make: () => Promise<string> | string): Promise<string> {
    this.#turn();
    const known = this.#replies.get(request);
    if (known !== undefined) return known;
    const replies = this.#replies;
    const body = Promise.resolve().then(make);
    if (replies.size < REPLIES_MAX) {
      replies.set(request, body);
      // Whoever comes next may have more luck.
      body.catch(() => replies.delete(request));
    }
    return body;
  }

  kept(channel: string): Promise<Kept | null> {
    this.#turn();
    const known = this.#kept.get(channel);
    if (known !== undefined) return known;
    const kept = this.#kept;
    const answer = this.#ask(channel);
    kept.set(channel, answer);
    answer.catch(() => kept.delete(channel));
    return answer;
  }

  #turn(): void {
    const now = this.#clock.monotonicMs();
    if (now - this.#beganMs < MOMENT_MS) return;
    this.#beganMs = now;
    this.#replies = new Map();
    this.#kept = new Map();
  }
}
