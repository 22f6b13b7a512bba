/**
 * Dead letters: records that no mapper could use, added to a stream for people to look at.
 *
 * Beside the path: pipeline -> source -> DEAD LETTERS -> Redis. Invariants: never throws, never waits; the letter has the
 * record's own bytes. At the limit: beyond WAITING_MAX on their way, or without a connection, letters are left out and
 * counted; the stream keeps about `lengthMax` of them.
 */
import type { RedisLink } from "../../lib/redis.ts";
import { isBrokerRecord } from "../broker.ts";

const WAITING_MAX = 256;
const REASON_CHARS_MAX = 200;

export class DeadLetters {
  readonly #key: string;
  readonly #lengthMax: number;
  readonly #link: Pick<RedisLink, "call">;
  #waiting = 0;
  sent = 0;
  leftOut = 0;

  constructor(stream: { readonly key: string; readonly lengthMax: number }, link: Pick<RedisLink, "call">) {
    this.#key = stream.key;
    this.#lengthMax = stream.lengthMax;
    this.#link = link;
  }

  send(value: unknown, reason: string): void {
    if (!isBrokerRecord(value)) return;
    if (this.#waiting >= WAITING_MAX) {
      this.leftOut++;
      return;
    }
    this.#waiting++;
    const fields = ["key", value.topic, "reason", reason.slice(0, REASON_CHARS_MAX), "value", value.value];
    this.#link.call("XADD", [this.#key, "MAXLEN", "~", this.#lengthMax, "*", ...fields]).then(
      () => {
        this.#waiting--;
        this.sent++;
      },
      () => {
        this.#waiting--;
        this.leftOut++;
      },
    );
  }
}
