/** A log that takes at most one line per second and subject, and says in the next how many it left out. */
import type { Clock } from "../lib/clock.ts";
import { type BrokerRecord, isBrokerRecord } from "./broker.ts";

/** The part of a log that ingest writes to. */
export interface IngestLog {
  info(message: string, fields?: Readonly<Record<string, unknown>>): void;
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
  error(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

const PERIOD_MS = 1000;
/** Subjects are our own words and a mapper's reasons; a mapper that makes up reasons shares one entry. */
const SUBJECTS_MAX = 256;

export class SampledLog {
  readonly #log: IngestLog;
  readonly #clock: Pick<Clock, "monotonicMs">;
  readonly #subjects = new Map<string, { nextMs: number; left: number }>();

  constructor(log: IngestLog, clock: Pick<Clock, "monotonicMs">) {
    this.#log = log;
    this.#clock = clock;
  }

  warn(subject: string, fields: () => Readonly<Record<string, unknown>>): void {
    const known = this.#subjects.has(subject) || this.#subjects.size < SUBJECTS_MAX ? subject : "other";
    let entry = this.#subjects.get(known);
    if (entry === undefined) {
      entry = { nextMs: Number.NEGATIVE_INFINITY, left: 0 };
      this.#subjects.set(known, entry);
    }
    const now = this.#clock.monotonicMs();
    if (now < entry.nextMs) {
      entry.left++;
      return;
    }
    this.#log.warn(subject, entry.left > 0 ? { ...fields(), notLogged: entry.left } : fields());
    entry.nextMs = now + PERIOD_MS;
    entry.left = 0;
  }
}

/** A value as it may stand in a log line: short. */
export function sample(value: unknown): string {
  if (value instanceof Uint8Array) return new TextDecoder().decode(value.subarray(0, SAMPLE_LENGTH));
  const text =
    typeof value === "string"
      ? value
      : isBrokerRecord(value)
        ? ofBroker(value)
        : (JSON.stringify(value) ?? String(value));
  return text.length > SAMPLE_LENGTH ? `${text.slice(0, SAMPLE_LENGTH)}...` : text;
}

const SAMPLE_LENGTH = 200;

const ofBroker = ({ topic, key, value }: BrokerRecord): string =>
  `${topic}${key === null ? "" : ` ${key}`}: ${sample(value)}`;
