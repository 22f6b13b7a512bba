/**
 * The dynamic configuration in a file, followed while the node runs.
 *
 * Beside the path, on the main thread: file -> STORE -> documents. The file is looked at again and again, for what replaces
 * it may be a rename, a link or a mount that no file watch sees. Invariants: a document is taken when two looks agree, so
 * that one that is being written is left alone; changes are handed on one after the other.
 * At the limit: a file over DOCUMENT_BYTES_MAX is refused unread.
 */
import type { Clock, Timer } from "../../lib/clock.ts";
import { GatewayError } from "../../lib/errors.ts";
import type { Log } from "../../lib/log.ts";
import type { ConfigChange } from "../dynamic/diff.ts";
import type { DynamicConfig, DynamicContext } from "../dynamic/types.ts";
import { Documents } from "./documents.ts";
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
  readonly #documents: Documents;
  /** The last look, and whether the file was read since. */
  #seen = "";
  #settled = true;
  #timer: Timer | null = null;
  #stopped = false;

  constructor(options: FileStoreOptions) {
    this.#options = options;
    this.#documents = new Documents({ ...options, name: options.path });
  }

  async load(): Promise<DynamicConfig> {
    const look = await this.#look();
    this.#seen = look.tells;
    this.#settled = !look.isFresh;
    return this.#documents.first(await this.#read());
  }

  watch(changed: (change: ConfigChange) => void): void {
    this.#documents.changed = changed;
    if (this.#timer === null) this.#pollOn();
  }

  async reload(): Promise<void> {
    const look = await this.#look();
    this.#seen = look.tells;
    if (await this.#take(look)) return;
    const { log, path } = this.#options;
    log.info("the configuration has not changed", { path });
  }

  status(): StoreStatus {
    return this.#documents.status();
  }

  stop(): void {
    this.#stopped = true;
    this.#documents.end();
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

  #take({ isFresh }: Look): Promise<boolean> {
    this.#settled = !isFresh;
    return this.#documents.offer(() => this.#read());
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
