/** What the NATS bus refuses: counted by reason, told in the log once a second at most. */
import type { Clock } from "../../lib/clock.ts";
import { GatewayError } from "../../lib/errors.ts";
import type { Log } from "../../lib/log.ts";
import type { NatsBusCounters } from "./counters.ts";

const EVERY_MS = 1000;

export class Refusals {
  readonly #counters: NatsBusCounters;
  readonly #log: Pick<Log, "warn">;
  readonly #clock: Pick<Clock, "monotonicMs">;
  #nextMs = Number.NEGATIVE_INFINITY;
  #untold = 0;

  constructor(counters: NatsBusCounters, log: Pick<Log, "warn">, clock: Pick<Clock, "monotonicMs">) {
    this.#counters = counters;
    this.#log = log;
    this.#clock = clock;
  }

  /** A message that is not of this version, or no message of ours. */
  unreadable(error: GatewayError): void {
    if (error.code === "BUS_VERSION") this.#counters.refusedVersion++;
    else this.#counters.refusedMalformed++;
    this.#tell("a bus message is refused", error);
  }

  incomplete(): void {
    this.#counters.refusedIncomplete++;
    this.#tell("a bus message lost a part", new GatewayError("BUS_INCOMPLETE", "not all parts of it arrived"));
  }

  badTopic(error: unknown): void {
    this.#counters.badTopics++;
    this.#tell("a fanout topic does not reach other nodes", error);
  }

  /** The library or the server would not do something. */
  failed(error: unknown): void {
    this.#tell("the bus connection refuses something", error);
  }

  #tell(message: string, error: unknown): void {
    const now = this.#clock.monotonicMs();
    if (now < this.#nextMs) {
      this.#untold++;
      return;
    }
    this.#nextMs = now + EVERY_MS;
    const words = error instanceof Error ? error.message : String(error);
    this.#log.warn(message, { error: words, ...(this.#untold > 0 ? { notLogged: this.#untold } : {}) });
    this.#untold = 0;
  }
}
