/**
 * The Fetch request, with an answer that leaves the record batches as bytes: they are decoded later, in small turns, and
 * an error of one partition spoils nothing for the others.
 *
 * On the path: leader loop -> FETCH -> partition feed.
 */
import {
  createAPI,
  fetchV12,
  fetchV13,
  fetchV14,
  fetchV15,
  fetchV16,
  fetchV17,
  type Reader,
} from "@platformatic/kafka";
import { Bytes } from "./bytes.ts";

export interface FetchedPartition {
  /** Id of the topic; its name before version 13. */
  readonly topic: string;
  readonly partition: number;
  readonly errorCode: number;
  /** Where the next record will be written; -1 with an error. */
  readonly end: number;
  /** End of what no open transaction hides. */
  readonly stableEnd: number;
  readonly start: number;
  readonly aborted: readonly Aborted[];
  /** Whole batches, the last one may be cut short. */
  readonly batches: Buffer | null;
}

/** A transaction that was aborted: the producer's batches from `first` to its next abort marker do not count. */
export interface Aborted {
  readonly producer: bigint;
  readonly first: number;
}

export interface Fetched {
  readonly errorCode: number;
  readonly partitions: readonly FetchedPartition[];
}

/** From this version on topics are named by their ids. */
const BY_ID = 13;

export const namesTopicsById = (version: number): boolean => version >= BY_ID;

const REQUESTS = [fetchV17, fetchV16, fetchV15, fetchV14, fetchV13, fetchV12] as const;

export type FetchTopic = Parameters<typeof fetchV17.createRequest>[6][number];

type Arguments = [maxWaitMs: number, minBytes: number, maxBytes: number, isolation: number, topics: FetchTopic[]];

/** Newest first. */
export const FETCH = REQUESTS.map(({ createRequest, api }) =>
  createAPI<Arguments, Fetched>(
    api.key,
    api.version,
    (maxWaitMs: number, minBytes: number, maxBytes: number, isolation: number, topics: FetchTopic[]) =>
      // Without a session: every request names all its partitions, so one that is left out is left out.
      createRequest(maxWaitMs, minBytes, maxBytes, isolation, 0, -1, topics, [], ""),
    (_id, _key, version, reader) => fetched(bytesOf(reader), version),
  ),
);

function bytesOf(reader: Reader): Bytes {
  return new Bytes(reader.buffer.buffer, reader.position);
}

export function fetched(bytes: Bytes, version: number): Fetched {
  bytes.int32(); // throttle time: the broker itself delays what comes next
  const errorCode = bytes.int16();
  bytes.int32(); // session
  const partitions: FetchedPartition[] = [];
  for (let topics = bytes.uvarint() - 1; topics > 0; topics--) {
    const topic = namesTopicsById(version) ? bytes.uuid() : bytes.compactString();
    for (let count = bytes.uvarint() - 1; count > 0; count--) partitions.push(partitionOf(bytes, topic));
    bytes.skipTags();
  }
  bytes.skipTags();
  return { errorCode, partitions };
}

function partitionOf(bytes: Bytes, topic: string): FetchedPartition {
  const partition = bytes.int32();
  const errorCode = bytes.int16();
  const end = bytes.int64();
  const stableEnd = bytes.int64();
  const start = bytes.int64();
  const aborted: Aborted[] = [];
  for (let count = bytes.uvarint() - 1; count > 0; count--) {
    aborted.push({ producer: bytes.bigInt64(), first: bytes.int64() });
    bytes.skipTags();
  }
  bytes.int32(); // preferred replica: we name no rack
  const length = bytes.uvarint() - 1;
  const batches = length > 0 ? bytes.take(length) : null;
  bytes.skipTags();
  return { topic, partition, errorCode, end, stableEnd, start, aborted, batches };
}
