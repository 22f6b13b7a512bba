/**
 * What every store does with the documents it finds: judges them, compares them with what runs, hands changes on.
 *
 * On the path: store (file, memory) -> DOCUMENTS -> topics, limits, mappers. Invariants: a mistake refuses a document whole
 * and is told once, the one before stays; the same document again is no news; documents are judged one after the other, so
 * that a small one is not overtaken by a big one before it; whoever takes a change may refuse it too.
 */
import type { Clock } from "../../lib/clock.ts";
import { GatewayError } from "../../lib/errors.ts";
import type { Log } from "../../lib/log.ts";
import { type ConfigChange, changeOf, type PartChange } from "../dynamic/diff.ts";
import { mistakesText, mistakeText } from "../dynamic/mistakes.ts";
import { readDynamic } from "../dynamic/read.ts";
import type { DynamicConfig, DynamicContext, Mistake } from "../dynamic/types.ts";
import type { StoreStatus } from "./store.ts";

export interface DocumentsOptions {
  /** Where they come from, for messages: a path. */
  readonly name: string;
  readonly context: DynamicContext;
  readonly clock: Pick<Clock, "after">;
  readonly log: Log;
}

export class Documents {
  changed: (change: ConfigChange) => void = () => undefined;
  readonly #options: DocumentsOptions;
  #running: DynamicConfig | null = null;
  /** The text that was judged last, good or bad; null after one that could not be had. */
  #judged: string | null = null;
  #error: string | null = null;
  #waiting: readonly string[] = [];
  readonly #counts = { taken: 0, refused: 0 };
  /** Settles when what was offered last is judged; never rejects. */
  #last: Promise<unknown> = Promise.resolve();
  #ended = false;

  constructor(options: DocumentsOptions) {
    this.#options = options;
  }

  /** Throws GatewayError CONFIG, which names the mistakes. */
  async first(text: string): Promise<DynamicConfig> {
    const { context, clock, name } = this.#options;
    const parsed = await readDynamic(text, context, clock);
    this.#warn(parsed.warnings);
    if ("mistakes" in parsed) throw new GatewayError("CONFIG", `${name}: ${mistakesText(parsed.mistakes)}`);
    this.#judged = text;
    this.#running = parsed.config;
    this.#counts.taken++;
    return parsed.config;
  }

  /** A document, or why there is none; false if it is no news. */
  offer(find: () => Promise<string>): Promise<boolean> {
    const offered = this.#last.then(() => this.#judge(find));
    this.#last = offered;
    return offered;
  }

  /** What is being judged just now is not handed on any more. */
  end(): void {
    this.#ended = true;
  }

  status(): StoreStatus {
    return { ...this.#counts, error: this.#error, waiting: this.#waiting };
  }

  async #judge(find: () => Promise<string>): Promise<boolean> {
    const before = this.#counts.taken + this.#counts.refused;
    let text: string | null = null;
    try {
      text = await find();
      if (text === this.#judged) return false;
      this.#judged = text;
      const { context, clock } = this.#options;
      const parsed = await readDynamic(text, context, clock);
      if (this.#ended) return false;
      this.#warn(parsed.warnings);
      if ("mistakes" in parsed) throw new GatewayError("CONFIG", mistakesText(parsed.mistakes));
      this.#accept(parsed.config);
    } catch (error) {
      if (text === null) this.#judged = null;
      this.#refuse(error);
    }
    return this.#counts.taken + this.#counts.refused > before;
  }

  #accept(document: DynamicConfig): void {
    const { log, name } = this.#options;
    const change = changeOf(this.#running ?? document, document);
    if (change.live.length > 0) this.changed(change);
    this.#running = change.running;
    if (this.#error !== null) log.info("the configuration is sound again", { path: name });
    this.#error = null;
    this.#waiting = change.restart.map(changeText);
    this.#counts.taken++;
    if (change.live.length > 0) {
      log.info("the configuration has changed", { path: name, changed: change.live.map(changeText) });
    }
    for (const waiting of this.#waiting) {
      log.warn("a change of the configuration waits for a restart", { path: name, waiting });
    }
  }

  #refuse(error: unknown): void {
    const why = error instanceof Error ? error.message : String(error);
    if (why === this.#error) return;
    this.#error = why;
    this.#counts.refused++;
    const { log, name } = this.#options;
    // Anything but an operating error is our fault and needs its stack.
    const fault = error instanceof GatewayError ? {} : { error };
    log.error(`the new configuration is refused, the old one stays: ${why}`, { path: name, ...fault });
  }

  #warn(warnings: readonly Mistake[]): void {
    const { log, name } = this.#options;
    for (const warning of warnings) log.warn("configuration", { path: name, at: mistakeText(warning) });
  }
}

const NAMES_MAX = 10;

/** `topics: btcusdt@trade, btcusdt@depth`. */
function changeText({ part, names }: PartChange): string {
  const more = names.length > NAMES_MAX ? ` and ${names.length - NAMES_MAX} more` : "";
  return `${part}: ${names.slice(0, NAMES_MAX).join(", ")}${more}`;
}
