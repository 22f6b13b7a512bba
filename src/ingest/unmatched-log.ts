/**
 * Says once of each symbol that its records are none of ours: all of them are counted as `unmatched`.
 *
 * At the limit: SYMBOLS_MAX symbols are named, then one line says that more are only counted.
 */
import { isBrokerRecord } from "./broker.ts";
import type { Skipped } from "./mapper/mapper.ts";
import type { IngestLog } from "./sampled-log.ts";

const SYMBOLS_MAX = 100;
/** A longer one is cut: it came from outside. */
const SYMBOL_LENGTH_MAX = 64;

export class UnmatchedLog {
  readonly #log: Pick<IngestLog, "info">;
  readonly #shard: string;
  readonly #told = new Set<string>();

  constructor(log: Pick<IngestLog, "info">, shard: string) {
    this.#log = log;
    this.#shard = shard;
  }

  /** `value`: the record. */
  tell({ symbol: whole, advice }: Skipped, value: unknown): void {
    const symbol = whole?.slice(0, SYMBOL_LENGTH_MAX);
    const topic = isBrokerRecord(value) ? value.topic : null;
    const key = symbol ?? topic ?? "";
    if (this.#told.size > SYMBOLS_MAX || this.#told.has(key)) return;
    this.#told.add(key);
    const shard = this.#shard;
    if (this.#told.size <= SYMBOLS_MAX) {
      const fields = { shard, ...(symbol && { symbol }), ...(topic && { topic }), ...(advice && { advice }) };
      this.#log.info("unmatched: records of this symbol are counted and left out", fields);
    } else {
      const message = "unmatched: more symbols than are named here, their records are only counted";
      this.#log.info(message, { shard, named: SYMBOLS_MAX });
    }
  }
}
