/**
 * The dynamic configuration in a file, followed while the node runs.
 *
 * Beside the path, on the main thread: file -> STORE -> topics, limits, mappers. The file is looked at again and again, for
 * what replaces it may be a rename, a link or a mount that no file watch sees. Invariants: a document is taken when two
 * looks agree, so that one that is being written is left alone; a mistake refuses it whole, once per change, and the old
 * one stays; changes are handed on one after the other.
 * At the limit: a file over DOCUMENT_BYTES_MAX is refused unread.
 */
import type { Clock, Timer } from "../../lib/clock.ts";
import { GatewayError } from "../../lib/errors.ts";
import type { Log } from "../../lib/log.ts";
import { type ConfigChange, changeOf, type PartChange } from "../dynamic/diff.ts";
import { mistakesText, mistakeText } from "../dynamic/mistakes.ts";
import { readDynamic } from "../dynamic/read.ts";
import type { DynamicConfig, DynamicContext } from "../dynamic/types.ts";
import type { ConfigStore, StoreStatus } from "./store.ts";

/** In UTF-8; of characters parse.ts takes somewhat less. */
export const DOCUMENT_BYTES_MAX = 64 * 1024 * 1024;
const POLL_MS = 500;

export interface FileStoreOptions {
  readonly path: string;
  readonly context: DynamicContext;
  readonly clock: Clock;
  readonly log: Log;
  readonly pollMs?: number;
}

export const createFileStore = (options: FileStoreOptions): ConfigStore => new FileStore(options);

/**
 * What a look at the file tells without reading it: another look with the same answer sees the same content, unless the
 * file was written within the same tick of its file system's clock.
 */
interface Look {
  readonly tells: string;
  readonly isFresh: boolean;
}

/** Ticks are 1 to 10 ms. */
const FRESH_MS = 50;

class FileStore implements ConfigStore {
  readonly #options: FileStoreOptions;
  #running: DynamicConfig | null = null;
  /** The last look, and whether the file was read since. */
  #seen = "";
  #settled = true;
  /** The text that was judged last, good or bad; null after one that could not be read. */
  #judged: string | null = null;
  #timer: Timer | null = null;
  #stopped = false;
  #changed: (change: ConfigChange) => void = () => undefined;
  #error: string | null = null;
  #waiting: readonly string[] = [];
  readonly #counts = { taken: 0, refused: 0 };

  constructor(options: FileStoreOptions) {
    this.#options = options;
  }

  async load(): Promise<DynamicConfig> {
    const look = await this.#look();
    this.#seen = look.tells;
    this.#settled = !look.isFresh;
    const text = await this.#read();
    const { context, clock, path, log } = this.#options;
    const parsed = await readDynamic(text, context, clock);
    for (const warning of parsed.warnings) log.warn("configuration", { path, at: mistakeText(warning) });
    if ("mistakes" in parsed) throw new GatewayError("CONFIG", `${path}: ${mistakesText(parsed.mistakes)}`);
    this.#judged = text;
    this.#running = parsed.config;
    this.#counts.taken++;
    return parsed.config;
  }

  watch(changed: (change: ConfigChange) => void): void {
    this.#changed = changed;
    if (this.#timer === null) this.#pollOn();
  }

  async reload(): Promise<void> {
    const before = this.#counts.taken + this.#counts.refused;
    const look = await this.#look();
    this.#seen = look.tells;
    await this.#take(look);
    const { log, path } = this.#options;
    if (this.#counts.taken + this.#counts.refused === before) log.info("the configuration has not changed", { path });
  }

  status(): StoreStatus {
    return { ...this.#counts, error: this.#error, waiting: this.#waiting };
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #pollOn(): void {
    if (this.#stopped) return;
    this.#timer = this.#options.clock.after(this.#options.pollMs ?? POLL_MS, () => {
      void this.#poll().then(() => this.#pollOn());
    });
  }

  async #poll(): Promise<void> {
    const look = await this.#look();
    if (look.tells !== this.#seen) {
      this.#seen = look.tells;
      this.#settled = false;
    } else if (!this.#settled) {
      await this.#take(look);
    }
  }

  async #take({ isFresh }: Look): Promise<void> {
    this.#settled = !isFresh;
    const { context, clock, path, log } = this.#options;
    let text: string | null = null;
    try {
      text = await this.#read();
      if (text === this.#judged) return;
      this.#judged = text;
      const parsed = await readDynamic(text, context, clock);
      if (this.#stopped) return;
      for (const warning of parsed.warnings) log.warn("configuration", { path, at: mistakeText(warning) });
      if ("mistakes" in parsed) throw new GatewayError("CONFIG", mistakesText(parsed.mistakes));
      this.#accept(parsed.config);
    } catch (error) {
      if (text === null) this.#judged = null;
      const why = error instanceof Error ? error.message : String(error);
      if (why === this.#error) return;
      this.#error = why;
      this.#counts.refused++;
      const fault = error instanceof GatewayError ? {} : { error };
      log.error(`the new configuration is refused, the old one stays: ${why}`, { path, ...fault });
    }
  }

  #accept(document: DynamicConfig): void {
    const { log, path } = this.#options;
    const change = changeOf(this.#running ?? document, document);
    // Whoever takes it may refuse it too.
    if (change.live.length > 0) this.#changed(change);
    this.#running = change.running;
    this.#error = null;
    this.#waiting = change.restart.map(changeText);
    this.#counts.taken++;
    if (change.live.length > 0)
      log.info("the configuration has changed", { path, changed: change.live.map(changeText) });
    for (const waiting of this.#waiting)
      log.warn("a change of the configuration waits for a restart", { path, waiting });
  }

  /** Size, inode and times; what is wrong, if the file cannot be looked at. */
  async #look(): Promise<Look> {
    try {
      const { size, ino, mtimeMs, ctimeMs } = await Bun.file(this.#options.path).stat();
      const ageMs = Date.now() - mtimeMs;
      return { tells: [size, ino, mtimeMs, ctimeMs].join(" "), isFresh: Math.abs(ageMs) < FRESH_MS };
    } catch (error) {
      return { tells: error instanceof Error ? error.message : String(error), isFresh: false };
    }
  }

  async #read(): Promise<string> {
    const { path } = this.#options;
    try {
      const file = Bun.file(path);
      const { size } = await file.stat();
      if (size > DOCUMENT_BYTES_MAX) {
        throw new GatewayError("CONFIG", `${path} has ${size} bytes, want at most ${DOCUMENT_BYTES_MAX}`);
      }
      return await file.text();
    } catch (error) {
      if (error instanceof GatewayError) throw error;
      const why = error instanceof Error ? error.message : String(error);
      throw new GatewayError("CONFIG", `${path} cannot be read: ${why}`);
    }
  }
}

const NAMES_MAX = 10;

/** `topics: btcusdt@trade, btcusdt@depth`. */
function changeText({ part, names }: PartChange): string {
  const more = names.length > NAMES_MAX ? ` and ${names.length - NAMES_MAX} more` : "";
  return `${part}: ${names.slice(0, NAMES_MAX).join(", ")}${more}`;
}
