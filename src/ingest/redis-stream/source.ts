/**
 * Source of one stream key: a face over its reading, which one of the broker's readers serves.
 *
 * On the path: reader -> SOURCE (a shard's) -> pipeline. Invariant: offsets count what was handed on since the epoch began;
 * each record has its place in the stream as `position`, by which a replay repeats them.
 */
import { wallMs } from "../../lib/clock.ts";
import type { BrokerTools } from "../broker.ts";
import type { Offset, RecordSink, Source, SourceState, SourceStatus } from "../source.ts";
import type { DeadLetters } from "./dead-letters.ts";
import type { Marks } from "./marks.ts";
import { parsePlace } from "./place.ts";
import type { RedisStreamSettings } from "./properties.ts";
import type { Reader } from "./reader.ts";
import { Reading, type ReadingCounts } from "./reading.ts";

export interface KeySourcePorts {
  readonly key: string;
  readonly tools: Pick<BrokerTools, "name" | "clock" | "log">;
  readonly settings: Pick<RedisStreamSettings, "field" | "start">;
  /** Gives the reading a reader; throws GatewayError where there are too many. */
  readonly attach: (reading: Reading) => Reader;
  readonly detach: (reading: Reading, reader: Reader) => void;
  /** Settles when the broker is closed. */
  readonly closed: Promise<void>;
  readonly marks: Marks | null;
  readonly deadLetters: DeadLetters | null;
}

export class KeySource implements Source {
  readonly name: string;
  readonly replayable = true;
  readonly #ports: KeySourcePorts;
  readonly #counts: ReadingCounts = { records: 0, deleted: 0, reset: 0, trimmed: 0, unknownPlaces: 0, stalled: 0 };
  #run: { readonly reading: Reading; readonly reader: Reader; readonly reconnects: number } | null = null;
  #reconnects = 0;
  #failure: string | null = null;

  constructor(ports: KeySourcePorts) {
    this.#ports = ports;
    this.name = ports.tools.name;
  }

  async run(sink: RecordSink, from: Offset | null, signal: AbortSignal, position: string | null = null): Promise<void> {
    if (signal.aborted) return;
    const { key, tools, settings, attach, detach, closed } = this.#ports;
    const { name, clock, log } = tools;
    const over = Promise.withResolvers<void>();
    const aborted = (): void => over.resolve();
    const reading = new Reading({
      ...{ key, sink, from, position, clock, log },
      ...{ source: name, field: settings.field, start: settings.start, counts: this.#counts, failed: over.reject },
    });
    try {
      this.#failure = null;
      const reader = attach(reading);
      this.#run = { reading, reader, reconnects: reader.reconnects };
      signal.addEventListener("abort", aborted, { once: true });
      await Promise.race([over.promise, closed]);
    } catch (error) {
      this.#failure = error instanceof Error ? error.message : String(error);
      throw error;
    } finally {
      signal.removeEventListener("abort", aborted);
      if (this.#run !== null) {
        const { reader, reconnects } = this.#run;
        this.#reconnects += reader.reconnects - reconnects;
        detach(reading, reader);
      }
      this.#run = null;
    }
  }

  commit(_offset: Offset, position: string | null): void {
    const place = position === null ? null : parsePlace(position);
    if (place !== null) this.#ports.marks?.set(this.#ports.key, place);
  }

  deadLetter(value: unknown, reason: string): void {
    this.#ports.deadLetters?.send(value, reason);
  }

  status(): SourceStatus {
    const { records, ...counts } = this.#counts;
    const run = this.#run;
    return {
      state: this.#state(),
      lagMs: run?.reading.lagMs ?? null,
      lagRecords: run?.reading.behind ?? null,
      records,
      reconnects: this.#reconnects + (run === null ? 0 : run.reader.reconnects - run.reconnects),
      counts: {
        "key deleted": counts.deleted,
        "entries taken back": counts.reset,
        "trimmed unread": counts.trimmed,
        "unknown places": counts.unknownPlaces,
        stalled: counts.stalled,
      },
    };
  }

  #state(): SourceState {
    if (this.#failure !== null) return { name: "failed", reason: this.#failure };
    if (this.#run === null) return { name: "idle" };
    const { reading, reader } = this.#run;
    if (reader.state.name !== "connected") return reader.state;
    if (reading.admitted) return { name: "connected" };
    const retryAt = wallMs(this.#ports.tools.clock);
    return { name: "connecting", attempt: 1, retryAt, error: reading.trouble ?? "" };
  }
}
