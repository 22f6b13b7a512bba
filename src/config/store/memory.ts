/** The dynamic configuration in memory: for tests, and for programs that run a node inside them. */
import type { Clock } from "../../lib/clock.ts";
import type { Log } from "../../lib/log.ts";
import type { ConfigChange } from "../dynamic/diff.ts";
import type { DynamicConfig, DynamicContext } from "../dynamic/types.ts";
import { Documents } from "./documents.ts";
import type { ConfigStore, StoreStatus } from "./store.ts";

export interface MemoryStoreOptions {
  /** The first document's text. */
  readonly text: string;
  readonly context: DynamicContext;
  readonly clock: Pick<Clock, "after">;
  readonly log: Log;
}

export class MemoryStore implements ConfigStore {
  readonly #options: MemoryStoreOptions;
  readonly #documents: Documents;
  #text: string;
  #watched = false;

  constructor(options: MemoryStoreOptions) {
    this.#options = options;
    this.#text = options.text;
    this.#documents = new Documents({ ...options, name: "memory" });
  }

  load(): Promise<DynamicConfig> {
    return this.#documents.first(this.#text);
  }

  /** Another document, as if somebody had written it. */
  put(text: string): void {
    this.#text = text;
    if (this.#watched) this.#offer();
  }

  watch(changed: (change: ConfigChange) => void): void {
    this.#documents.changed = changed;
    this.#watched = true;
    // What was put between.
    this.#offer();
  }

  async reload(): Promise<void> {
    if (await this.#offer()) return;
    this.#options.log.info("the configuration has not changed", { path: "memory" });
  }

  status(): StoreStatus {
    return this.#documents.status();
  }

  stop(): void {
    this.#watched = false;
    this.#documents.end();
  }

  #offer(): Promise<boolean> {
    return this.#documents.offer(() => Promise.resolve(this.#text));
  }
}
