/**
 * The two-way contract between the engine (main thread) and the edge workers: what the ring's records mean, and the
 * low-volume messages that go back by `postMessage`.
 *
 * A *topic* here is one stream of encoded bytes: (channel, rung, form). The engine gives it a number and ANNOUNCEs it.
 */
import type { TopicSpec } from "../channel/topic-settings.ts";
import type { Position } from "../channel/types.ts";

/** The cadence ladder in ms; a rung is named by its period, a TICK's mask has bit i for RUNGS[i]. 0 is real time. */
export const RUNGS = [0, 50, 100, 250, 500, 1000, 2000, 3000] as const;
export type Rung = (typeof RUNGS)[number];

/** The next rung that is not faster than a flush every `ms`; undefined if the slowest is. */
export const rungNotFaster = (ms: number): Rung | undefined => RUNGS.find((period) => period >= ms);

/** What makes payload bytes differ; the envelope with the asked name is put around them by the worker. */
export interface Form {
  readonly dialect: "native" | "binance";
  readonly timeUnit: "ms" | "us";
}

export interface TopicKey extends Form {
  /** Canonical channel name. */
  readonly channel: string;
  readonly rung: Rung;
}

/** Kinds of ring records. */
export const RecordKind = {
  /** Wrap padding: skip. */
  PAD: 0,
  /** topic, payload = JSON TopicInfo. Precedes every other record of the topic; repeated after a lap or a restart. */
  ANNOUNCE: 1,
  /**
   * topic, seq, receivedUs; `request` holds the number of items (lossless kinds; else 0); payload = one or more frames
   * separated by LF (flag MANY set if more than one).
   */
  PUBLISH: 2,
  /** worker, topic, request, seq; payload = JSON DirectHead, then LF and frames if any. Answers one EdgeToMain request. */
  DIRECT: 3,
  /** payload-less; `topic` holds the mask of flushed rungs. Written after all flushes of an instant. */
  TICK: 4,
  /** payload = JSON Control. */
  CONTROL: 5,
} as const;
export type RecordKind = (typeof RecordKind)[keyof typeof RecordKind];

export const Flag = {
  /** Outside the chain (stale): it changes what a joiner would have to be told. */
  ASIDE: 4,
  /** The payload holds several frames, separated by LF. */
  MANY: 1,
} as const;

export interface TopicInfo extends TopicKey {
  readonly market: string;
  readonly family: "book" | "value" | "items" | "candles";
}

/**
 * What a joiner without `since` needs on a topic that runs already: its `latest` frame, nothing but the `position`, or an
 * answer of main (`ask`: a book's snapshot; also after anything out of the ordinary: stale, a new epoch, a lap).
 */
export type Later = "ask" | "position" | "latest";

/** First line of a DIRECT payload. */
export type DirectHead =
  | {
      /** The topic is open: send the frames to the waiting sessions, then join them to the stream. */
      readonly is: "joined";
      readonly family: TopicInfo["family"];
      readonly epoch: string;
      /** Position after the frames; null while the channel never had a publication. */
      readonly seq: number | null;
      /** With `since`: everything after it is in the frames. Without: false. */
      readonly recovered: boolean;
      /** How the worker serves later joiners of the topic, for as long as it has sessions on it. */
      readonly later: Later;
    }
  /** No such channel. */
  | { readonly is: "unknown" }
  /** The node cannot serve it now (code from protocol/codes.ts). */
  | { readonly is: "refused"; readonly code: number; readonly message: string }
  /** The target topic of a move is open: move at the next TICK that has the target rung's bit. */
  | { readonly is: "open" }
  /** After a lap: the frames bring `topic` from the asker's seq to `seq`. */
  | { readonly is: "caughtUp"; readonly seq: number | null }
  /** After a lap: nothing can bring this topic up exactly; its sessions are closed 1012. */
  | { readonly is: "lost" }
  /** After a lap: everything asked for has been answered. */
  | { readonly is: "repaired" };

export type Control =
  /** Close every session on this topic (code from protocol/codes.ts). */
  | { readonly do: "closeTopic"; readonly topic: number; readonly code: number; readonly reason: string }
  /** Remember who is on this topic now: they saw it turn stale. */
  | { readonly do: "stale"; readonly topic: number }
  /** It is no longer stale: forget them. */
  | { readonly do: "fresh"; readonly topic: number }
  /** Stale for too long: close the remembered ones. */
  | { readonly do: "closeStale"; readonly topic: number; readonly code: number; readonly reason: string }
  /** The topic's next publications belong to this epoch (replies to `subscriptions` name it). */
  | { readonly do: "epoch"; readonly topic: number; readonly epoch: string };

export interface RestRequest {
  readonly request: number;
  readonly path: string;
  /** Without the question mark. */
  readonly query: string;
}

export interface RestAnswer {
  readonly request: number;
  readonly status: number;
  readonly body: string;
}

/** Worker -> main. `request` is the worker's own rising number; a DIRECT repeats it. */
export type EdgeToMain =
  | { readonly is: "ready"; readonly port: number }
  /** Everything of one turn, in order. */
  | { readonly is: "batch"; readonly messages: readonly EdgeToMain[] }
  /**
   * Open a topic and answer with its state (DIRECT joined). One request serves every session waiting on the topic, or those
   * that have the same position of it. `instead`: it was asked under this number before; if it still waits for its turn, it
   * keeps its place.
   */
  | {
      readonly is: "join";
      readonly request: number;
      readonly instead?: number;
      readonly key: TopicKey;
      readonly since: Position | null;
    }
  /** Open `key` for sessions that will leave `from` at a TICK (DIRECT open). */
  | { readonly is: "move"; readonly request: number; readonly from: number; readonly key: TopicKey }
  /** No session of this worker is on the topic any more, and none waits for it. */
  | { readonly is: "leave"; readonly topic: number }
  /** The native `resync` command: a fresh snapshot of an open topic for this request (DIRECT joined). */
  | { readonly is: "resync"; readonly request: number; readonly instead?: number; readonly topic: number }
  /** The ring overtook this worker: last seq seen per topic it has sessions on. */
  | {
      readonly is: "lapped";
      readonly request: number;
      readonly topics: readonly (readonly [topic: number, seq: number])[];
    }
  /** REST requests that need market state, several a message. */
  | { readonly is: "rest"; readonly requests: readonly RestRequest[] }
  | { readonly is: "counters"; readonly counters: WorkerCounters }
  /** The drain has closed the last session. */
  | { readonly is: "drained" }
  /** A line for the node's log; without a level it is an error. */
  | { readonly is: "log"; readonly level?: "warn"; readonly message: string; readonly error: string };

/** Main -> worker by postMessage (everything in stream order goes through the ring instead). */
export type MainToEdge =
  | {
      readonly is: "start";
      readonly config: unknown;
      readonly ring: SharedArrayBuffer;
      /** Sessions of all workers (edge/admission/census.ts), and where this one counts its own. */
      readonly census: SharedArrayBuffer;
      /** Bytes of outbox of all workers (edge/delivery/outboxes.ts). */
      readonly outboxes: SharedArrayBuffer;
      readonly column: number;
      readonly worker: number;
      readonly generation: number;
    }
  | { readonly is: "rest"; readonly answers: readonly RestAnswer[] }
  /** Close every session within about `ms`, take no new ones. */
  | { readonly is: "drain"; readonly ms: number }
  /** New connections get this certificate. `drainMs`: for sessions on a listener there is no room for any more. */
  | { readonly is: "renew"; readonly cert: string; readonly key: string; readonly drainMs: number }
  /** Other limits and settings of topics (EdgeConfig): for what is asked from now on. */
  | { readonly is: "settings"; readonly limits: unknown; readonly topics: readonly TopicSpec[] }
  | { readonly is: "stop" }
  /** For tests of the watchdog: misbehave now. */
  | { readonly is: "inject"; readonly fault: "throw" | "spin" | "stall"; readonly ms: number };

/** Totals since the worker started. */
export interface WorkerCounters {
  readonly sessions: number;
  readonly subscriptions: number;
  readonly delivered: number;
  readonly deliveredBytes: number;
  readonly laps: number;
  readonly outboxBytes: number;
  /** The highest age of an open session's oldest unsent byte since the last report. */
  readonly outboxAgeMs: number;
  readonly errors: Readonly<Record<string, number>>;
  readonly closes: Readonly<Record<string, number>>;
  /** Connections and commands that a limit refused, by the limit's name. */
  readonly limited: Readonly<Record<string, number>>;
  /** What was done about slow sessions, by action. */
  readonly slow: Readonly<Record<string, number>>;
  /** Sessions on each rung, by RUNGS index. */
  readonly rungSessions: readonly number[];
  /** Delivery latency: counts per bucket of LATENCY_BUCKETS_US (one more for the rest) and their sum in us, by kind. */
  readonly latency: Readonly<Record<string, { readonly counts: readonly number[]; readonly sumUs: number }>>;
  readonly loopLagMs: number;
}

export const LATENCY_BUCKETS_US = [
  100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 5_000_000,
] as const;
