/**
 * Marks: consumer groups that are set to our places, so that operators see with XINFO GROUPS how far we are.
 *
 * Beside the path: checkpoint stored -> MARKS -> Redis. We never read through a group: its place is for people.
 * Invariants: never throws, never waits; one command at a time, for each key only the newest place. At the limit: what
 * cannot be written is dropped and counted; a second later comes a newer one.
 */
import type { RedisLink } from "../../lib/redis.ts";
import type { IngestLog } from "../sampled-log.ts";
import type { Place } from "./place.ts";

export class Marks {
  readonly #group: string;
  readonly #source: string;
  readonly #link: Pick<RedisLink, "call">;
  readonly #log: IngestLog;
  readonly #waiting = new Map<string, Place>();
  #busy = false;
  #isFailing = false;
  /** Before Redis 7 a group has no count of the entries it has read. */
  #hasOrdinals = true;
  written = 0;
  failures = 0;

  constructor(group: string, source: string, link: Pick<RedisLink, "call">, log: IngestLog) {
    this.#group = group;
    this.#source = source;
    this.#link = link;
    this.#log = log;
  }

  set(key: string, place: Place): void {
    this.#waiting.set(key, place);
    if (!this.#busy) void this.#write();
  }

  async #write(): Promise<void> {
    this.#busy = true;
    for (const [key, place] of this.#waiting) {
      this.#waiting.delete(key);
      try {
        await this.#setOne(key, place);
        this.#isFailing = false;
        this.written++;
      } catch (error) {
        this.failures++;
        if (!this.#isFailing) {
          const group = this.#group;
          this.#log.warn("a consumer group cannot be set to our place", { source: this.#source, key, group, error });
        }
        this.#isFailing = true;
      }
    }
    this.#busy = false;
  }

  async #setOne(key: string, place: Place): Promise<void> {
    try {
      await this.#command("SETID", key, place);
    } catch (error) {
      if (!/NOGROUP/.test(String(error))) throw error;
      await this.#command("CREATE", key, place);
    }
  }

  async #command(what: "SETID" | "CREATE", key: string, { id, ordinal }: Place): Promise<void> {
    const read = ordinal === null || !this.#hasOrdinals ? [] : ["ENTRIESREAD", ordinal];
    try {
      await this.#link.call("XGROUP", [what, key, this.#group, id, ...read]);
    } catch (error) {
      if (read.length === 0 || !/syntax|wrong number of arguments|unknown subcommand/i.test(String(error))) throw error;
      this.#hasOrdinals = false;
      await this.#link.call("XGROUP", [what, key, this.#group, id]);
    }
  }
}
