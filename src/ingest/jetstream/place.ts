/**
 * Where reading goes on in a stream, and whether what comes from there continues what was read before.
 *
 * Invariant: what the limits of a whole stream have removed before it was read is never passed over in silence: where some
 * may be missing, a new epoch begins. (Limits per subject are another thing: who sets them wants the newest alone.)
 */
import { RetentionPolicy, type StreamInfo } from "@nats-io/jetstream";

/** What names one run of a stream's numbers. */
export const incarnationOf = (info: Pick<StreamInfo, "created" | "config">): string =>
  `${info.config.name}@${info.created}`;

export interface Read {
  /** Incarnation of the stream that `position` is of. */
  readonly incarnation: string;
  /** Number of the last record that was read; null: none, begin as configured. */
  readonly position: number | null;
  /** Up to this number nothing more is on our subject, as the server said; 0 if it did not. */
  readonly through: number;
  /** Records before `position` were passed over: the limits had removed them. */
  readonly passed: boolean;
  /** Up to this number everything is stored with us, so a durable consumer begins behind it; null: as configured. */
  readonly committed: number | null;
  /** The stream removes nothing of ours that we have not acknowledged. */
  readonly isKept: (stream: Pick<StreamInfo, "config">) => boolean;
}

export interface Place {
  /** Records above this number come next; null: as configured. */
  readonly position: number | null;
  /** Why what comes does not continue what was read; null: it does. */
  readonly broken: { readonly cause: "recreated" | "expired" | "rewound"; readonly sentence: string } | null;
}

export function placeOf(info: Pick<StreamInfo, "created" | "config" | "state">, read: Read): Place {
  const { first_seq: first, last_seq: last } = info.state;
  const { name } = info.config;
  const { position, through } = read;
  if (read.incarnation !== incarnationOf(info)) {
    // Everything in it came after what we knew.
    return { position: 0, broken: { cause: "recreated", sentence: `stream ${name} was made again` } };
  }
  if (position === null) return { position, broken: null };
  if (position > last) {
    const sentence = `stream ${name} ends at ${last}, and ${position} was read before: it has lost its end`;
    return { position: last, broken: { cause: "rewound", sentence } };
  }
  const done = Math.max(position, through);
  if (read.passed) {
    const sentence = `the limits of stream ${name} have removed records before they were read`;
    return { position: done, broken: { cause: "expired", sentence } };
  }
  if (first > done + 1 && !read.isKept(info)) {
    const sentence = `stream ${name} begins at ${first}, and the next to be read was ${done + 1}: its limits have removed what lay between`;
    return { position: first - 1, broken: { cause: "expired", sentence } };
  }
  return { position: done, broken: null };
}

/** Whether where a stream begins says nothing about us: it removes what its consumers are done with, ours or others. */
export function keepsForConsumers({ config }: Pick<StreamInfo, "config">): boolean {
  return config.retention !== RetentionPolicy.Limits;
}
