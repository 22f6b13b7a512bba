/**
 * Renewal: follows the certificate's files and hands a new pair on when they have changed.
 *
 * Beside the path, on the main thread. Files are read again and again, for what replaces them may be a link, a rename or a
 * mount that no file watch sees. Invariants: only a pair that was judged good is handed on; what is served stays if the
 * new files are broken, and the log says so once per change; files are taken when two readings agree, so that a pair
 * that is being written is left alone.
 * At the limit: files that keep changing are looked at again with every reading.
 */
import type { Clock, Timer } from "../lib/clock.ts";
import { GatewayError } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { type Certificate, judge, outOfTime, readPair, type TlsFiles } from "./certificate.ts";
import type { TlsPair } from "./config.ts";

const POLL_MS = 1000;

export interface RenewalParts {
  readonly files: TlsFiles;
  readonly read: (path: string) => Promise<string>;
  readonly clock: Clock;
  readonly log: Log;
  readonly pollMs?: number;
  /** The node has a new certificate. */
  renewed(certificate: Certificate): void;
}

/** What was found in the files, or why nothing was. */
type Reading = { readonly pair: TlsPair; readonly error: null } | { readonly pair: null; readonly error: GatewayError };

export class Renewal {
  readonly #parts: RenewalParts;
  #current: Certificate;
  /** The last reading, and whether it was acted upon. */
  #seen: Reading;
  #settled = true;
  #timer: Timer | null = null;
  #stopped = false;
  readonly counts = { renewals: 0, refusals: 0 };

  /** Reads the files for the first time; throws GatewayError TLS. */
  static async start(parts: RenewalParts): Promise<Renewal> {
    const first = judge(await readPair(parts.files, parts.read), parts.files);
    const renewal = new Renewal(parts, first);
    renewal.#tell("serving with TLS", first);
    renewal.#pollOn();
    return renewal;
  }

  private constructor(parts: RenewalParts, first: Certificate) {
    this.#parts = parts;
    this.#current = first;
    this.#seen = { pair: first, error: null };
  }

  get pair(): TlsPair {
    return this.#current;
  }

  get certificate(): Certificate {
    return this.#current;
  }

  /** Reads the files now, as somebody asked for it, and says what came of it in any case. */
  async reload(): Promise<void> {
    const reading = await this.#read();
    if (reading.pair !== null && same(reading.pair, this.#current)) {
      this.#parts.log.info("the certificate is the one that is served already", {
        fingerprint: this.#current.fingerprint,
      });
    }
    this.#seen = reading;
    this.#take(reading);
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #pollOn(): void {
    if (this.#stopped) return;
    this.#timer = this.#parts.clock.after(this.#parts.pollMs ?? POLL_MS, () => {
      void this.#poll().then(() => this.#pollOn());
    });
  }

  async #poll(): Promise<void> {
    const reading = await this.#read();
    if (!equal(reading, this.#seen)) {
      this.#seen = reading;
      this.#settled = false;
    } else if (!this.#settled) {
      this.#take(reading);
    }
  }

  async #read(): Promise<Reading> {
    try {
      return { pair: await readPair(this.#parts.files, this.#parts.read), error: null };
    } catch (error) {
      if (error instanceof GatewayError) return { pair: null, error };
      throw error;
    }
  }

  #take(reading: Reading): void {
    this.#settled = true;
    if (this.#stopped) return;
    try {
      if (reading.pair === null) throw reading.error;
      if (same(reading.pair, this.#current)) return;
      this.#current = judge(reading.pair, this.#parts.files);
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      this.counts.refusals++;
      const { fingerprint, validTo } = this.#current;
      this.#parts.log.error(`the new certificate is refused, the old one stays: ${error.message}`, {
        fingerprint,
        validTo,
      });
      return;
    }
    this.counts.renewals++;
    this.#parts.renewed(this.#current);
    this.#tell("the certificate was renewed: new connections get it", this.#current);
  }

  #tell(message: string, certificate: Certificate): void {
    const { log, clock } = this.#parts;
    const { subject, names, validTo, fingerprint } = certificate;
    log.info(message, { subject, names, validTo, fingerprint });
    const wrong = outOfTime(certificate, clock.wallUs() / 1000);
    if (wrong !== null) log.warn(`clients will refuse this certificate: ${wrong}`, { fingerprint });
  }
}

const same = (a: TlsPair, b: TlsPair): boolean => a.cert === b.cert && a.key === b.key;

const equal = (a: Reading, b: Reading): boolean =>
  a.pair !== null && b.pair !== null
    ? same(a.pair, b.pair)
    : a.error?.message === b.error?.message && a.pair === b.pair;
