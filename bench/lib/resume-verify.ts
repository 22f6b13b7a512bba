/**
 * Whether a client that came back has exactly what the one who stayed has: each trade once and in order, the book level
 * by level. By the client's rules of docs/protocol.md, without a line of the gateway's code.
 */
import { type ChannelTruth, FlatBook, type Push } from "./resume-truth.ts";

export interface Came {
  readonly channel: string;
  readonly since: { readonly epoch: string; readonly seq: number };
  readonly recovered: boolean;
  readonly pushes: readonly Push[];
}

/** Faults as sentences. Empties `came`, which may hold much. */
export function verify(came: Came[], truth: ChannelTruth): string[] {
  if (came.length === 0) return [];
  const faults = came.filter(({ recovered }) => !recovered).map(({ channel }) => `${channel}: not recovered`);
  const isBook = truth.steps[0]!.push.type === "snapshot";
  return [...faults, ...(isBook ? books(came, truth) : came.flatMap((one) => items(one, truth)))];
}

function items({ channel, since, pushes }: Came, truth: ChannelTruth): string[] {
  let have = since.seq;
  const got: string[] = [];
  for (const { type, prev, seq, data } of pushes) {
    if (type !== "items" || seq === undefined) return [`${channel}: a push of type ${type}`];
    if (seq <= have) return [`${channel}: items at ${seq} a second time, have ${have}`];
    if (prev !== have) return [`${channel}: items ${prev} -> ${seq}, have ${have}`];
    for (const { id } of data as { id: string }[]) got.push(id);
    have = seq;
  }
  const wanted = truth.steps
    .slice(truth.indexOf(since.seq) + 1, truth.indexOf(have) + 1)
    .flatMap(({ push }) => (push.data as { id: string }[]).map(({ id }) => id));
  return got.join() === wanted.join()
    ? []
    : [`${channel}: ${got.length} trades since ${since.seq}, not ${wanted.length}`];
}

/** Oldest position first, so that one book of the truth moves along. */
function books(came: Came[], truth: ChannelTruth): string[] {
  const faults: string[] = [];
  const starts = [...came].sort((a, b) => a.since.seq - b.since.seq);
  const ends: { one: Came; have: number; book: FlatBook }[] = [];
  walk(
    truth,
    starts,
    ({ since }) => since.seq,
    (one, book) => {
      const end = grow(one, new FlatBook(book));
      if (typeof end === "string") faults.push(end);
      else ends.push({ one, ...end });
    },
  );
  ends.sort((a, b) => a.have - b.have);
  walk(
    truth,
    ends,
    ({ have }) => have,
    ({ one, have, book }, right) => {
      const difference = book.difference(right);
      if (difference !== "") faults.push(`${one.channel}: since ${one.since.seq}, at ${have}, ${difference}`);
    },
  );
  return faults;
}

/** Calls with the true book at each one's seq; they come in that order. */
function walk<T>(
  truth: ChannelTruth,
  ones: readonly T[],
  seqOf: (one: T) => number,
  call: (one: T, book: FlatBook) => void,
): void {
  const book = new FlatBook();
  let at = 0;
  for (const one of ones) {
    for (const end = truth.indexOf(seqOf(one)); at <= end; at++) book.take(truth.steps[at]!.push);
    call(one, book);
  }
}

function grow({ channel, since, pushes }: Came, book: FlatBook): { have: number; book: FlatBook } | string {
  let have = since.seq;
  for (const push of pushes) {
    const { type, prev, seq } = push;
    if (seq === undefined || type === "snapshot") return `${channel}: a push of type ${type}`;
    if (seq <= have) continue;
    if (prev === null || prev === undefined || prev > have) return `${channel}: delta ${prev} -> ${seq}, have ${have}`;
    book.take(push);
    have = seq;
  }
  return { have, book };
}
