/**
 * What we ask a Kafka cluster beside fetching: topics and leaders, end offsets, commits, dead letters.
 *
 * Beside the path: one connection per broker for these, so that no question waits behind a fetch.
 * Invariants: a failed request closes its connection; an address is dialled once at a time; every error that leaves here
 * is a GatewayError with a sentence that names the address.
 */
import {
  findCoordinatorV4,
  findCoordinatorV5,
  findCoordinatorV6,
  listOffsetsV6,
  listOffsetsV7,
  listOffsetsV8,
  listOffsetsV9,
  type MessageRecord,
  metadataV10,
  metadataV11,
  metadataV12,
  offsetCommitV8,
  offsetCommitV9,
  produceV9,
  produceV10,
  produceV11,
  ResponseError,
} from "@platformatic/kafka";
import { GatewayError } from "../../lib/errors.ts";
import { commitFault, isOfCoordinator, sentence } from "./faults.ts";
import { type Dialer, type Link, openLink, whereOf } from "./link.ts";

export interface PartitionView {
  readonly index: number;
  /** Node id; -1 while there is none. */
  readonly leader: number;
}

export interface TopicView {
  readonly name: string;
  readonly id: string;
  readonly errorCode: number;
  readonly partitions: readonly PartitionView[];
}

export interface ClusterView {
  /** Who answered, as a sentence names it. */
  readonly address: string;
  /** `host:port` of each node. */
  readonly nodes: ReadonlyMap<number, string>;
  readonly topics: ReadonlyMap<string, TopicView>;
}

export interface PartitionOf {
  readonly topic: string;
  readonly partition: number;
}

export interface OffsetOf extends PartitionOf {
  readonly offset: number;
}

export interface RefusedOffset extends PartitionOf {
  readonly errorCode: number;
}

export const EARLIEST = -2n;
export const LATEST = -1n;

const METADATA = [metadataV12.api, metadataV11.api, metadataV10.api] as const;
const LIST_OFFSETS = [listOffsetsV9, listOffsetsV8, listOffsetsV7, listOffsetsV6].map(({ api }) => api);
const COORDINATOR = [findCoordinatorV6, findCoordinatorV5, findCoordinatorV4].map(({ api }) => api);
const COMMIT = [offsetCommitV9.api, offsetCommitV8.api] as const;
const PRODUCE = [produceV11.api, produceV10.api, produceV9.api] as const;
const GROUP = 0;

export class Cluster {
  readonly #dialer: Dialer;
  readonly #links = new Map<string, Promise<Link>>();
  /** Of the last answer; asked before the addresses of the configuration are. */
  #nodes: ReadonlyMap<number, string> = new Map();
  #coordinator: string | null = null;
  #closed = false;

  constructor(dialer: Dialer) {
    this.#dialer = dialer;
  }

  address(node: number): string | null {
    return this.#nodes.get(node) ?? null;
  }

  /** `names`: null asks for all topics. */
  async topics(names: readonly string[] | null): Promise<ClusterView> {
    return await this.#anywhere(async (link) => {
      const asked = names === null ? null : [...names];
      const answer = await tolerant(link.newest(METADATA).async(link.connection, asked, false, false));
      const topics = answer.topics.map(({ name, topicId, errorCode, partitions, isInternal }) => ({
        name: name ?? "",
        id: topicId,
        errorCode,
        isInternal,
        partitions: partitions
          .map(({ partitionIndex, leaderId }) => ({ index: partitionIndex, leader: leaderId }))
          .sort((a, b) => a.index - b.index),
      }));
      this.#nodes = new Map(answer.brokers.map(({ nodeId, host, port }) => [nodeId, `${host}:${port}`]));
      return {
        address: link.where,
        nodes: this.#nodes,
        topics: new Map(
          topics.filter(({ isInternal }) => names !== null || !isInternal).map((topic) => [topic.name, topic]),
        ),
      };
    });
  }

  /** Offsets at a time (`EARLIEST`, `LATEST`) of partitions that `node` leads; those that it cannot tell are left out. */
  async offsets(
    node: number,
    partitions: readonly PartitionOf[],
    time: bigint,
    committedOnly: boolean,
  ): Promise<OffsetOf[]> {
    return await this.#at(this.#nodes.get(node) ?? "", async (link) => {
      const topics = byTopic(partitions, ({ partition }) => ({
        partitionIndex: partition,
        currentLeaderEpoch: -1,
        timestamp: time,
      }));
      const api = link.newest(LIST_OFFSETS);
      const answer = await tolerant(api.async(link.connection, -1, committedOnly ? 1 : 0, topics));
      const found = answer.topics.flatMap(({ name, partitions: list }) =>
        list.map(({ partitionIndex, errorCode, offset }) => ({
          topic: name,
          partition: partitionIndex,
          errorCode,
          offset: Number(offset),
        })),
      );
      return found.filter(({ errorCode, offset }) => errorCode === 0 && offset >= 0);
    });
  }

  /** Stores offsets (of the next record each) for a group nobody has joined. Returns those that were refused. */
  async commit(group: string, offsets: readonly OffsetOf[]): Promise<RefusedOffset[]> {
    try {
      this.#coordinator ??= await this.#anywhere(async (link) => {
        const { coordinators } = await tolerant(link.newest(COORDINATOR).async(link.connection, GROUP, [group]));
        const found = coordinators.find(({ key }) => key === group);
        if (found === undefined)
          throw new GatewayError("BROKER", `${link.where} names no coordinator of group ${group}`);
        if (found.errorCode !== 0) throw new GatewayError("BROKER", commitFault(group, "", found.errorCode));
        return `${found.host}:${found.port}`;
      });
      const refused = await this.#at(this.#coordinator, async (link) => {
        const topics = byTopic(offsets, ({ partition, offset }) => ({
          partitionIndex: partition,
          committedOffset: BigInt(offset),
          committedLeaderEpoch: -1,
          committedMetadata: null,
        }));
        const answer = await tolerant(link.newest(COMMIT).async(link.connection, group, -1, "", null, topics));
        return answer.topics.flatMap(({ name, partitions }) =>
          partitions
            .filter(({ errorCode }) => errorCode !== 0)
            .map(({ partitionIndex, errorCode }) => ({ topic: name, partition: partitionIndex, errorCode })),
        );
      });
      if (refused.some(({ errorCode }) => isOfCoordinator(errorCode))) this.#coordinator = null;
      return refused;
    } catch (error) {
      this.#coordinator = null;
      throw error;
    }
  }

  /** Writes to one partition, acknowledged by all replicas. */
  async produce(node: number, records: MessageRecord[]): Promise<void> {
    await this.#at(this.#nodes.get(node) ?? "", async (link) => {
      const timeoutMs = Math.floor(this.#dialer.settings.requestTimeoutMs / 2);
      await link.newest(PRODUCE).async(link.connection, -1, timeoutMs, records, { compression: "none" });
    });
  }

  /** Connections that are being made are closed when they are. */
  close(): void {
    this.#closed = true;
    for (const opening of this.#links.values()) {
      opening.then(
        (link) => link.close(),
        () => undefined,
      );
    }
    this.#links.clear();
  }

  /** Asks the first that can be reached: nodes known to be there, then the addresses of the configuration. */
  async #anywhere<T>(ask: (link: Link) => Promise<T>): Promise<T> {
    const { servers } = this.#dialer.settings;
    const addresses = [...new Set([...this.#nodes.values(), ...servers])];
    // With an open connection first.
    addresses.sort((a, b) => Number(this.#links.has(b)) - Number(this.#links.has(a)));
    let failure: unknown;
    for (const address of addresses) {
      try {
        return await this.#at(address, ask);
      } catch (error) {
        failure ??= error;
      }
      if (this.#closed) break;
    }
    throw failure;
  }

  async #at<T>(address: string, ask: (link: Link) => Promise<T>): Promise<T> {
    if (address === "") throw new GatewayError("BROKER", "the partition has no leader at the moment");
    let link: Link | null = null;
    try {
      link = await this.#link(address);
      return await ask(link);
    } catch (error) {
      if (error instanceof ResponseError || error instanceof GatewayError) throw told(error, address, this.#dialer);
      link?.close(error);
      throw told(link?.reason ?? error, address, this.#dialer);
    }
  }

  #link(address: string): Promise<Link> {
    const known = this.#links.get(address);
    if (known !== undefined) return known;
    const forget = (): void => {
      if (this.#links.get(address) === opening) this.#links.delete(address);
    };
    const opening = openLink(this.#dialer, address, forget);
    this.#links.set(address, opening);
    opening.then((link) => this.#closed && link.close(), forget);
    return opening;
  }
}

export function told(error: unknown, address: string, dialer: Dialer): GatewayError {
  if (error instanceof GatewayError) return error;
  return new GatewayError("BROKER", sentence(error, whereOf(address, dialer), dialer.settings), { cause: error });
}

/** The answer also when it holds errors of single topics or partitions: they are read from it. */
async function tolerant<T>(asked: Promise<T>): Promise<T> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof ResponseError && error.response !== undefined) return error.response as T;
    throw error;
  }
}

function byTopic<P extends PartitionOf, T>(of: readonly P[], make: (one: P) => T): { name: string; partitions: T[] }[] {
  const topics = new Map<string, T[]>();
  for (const one of of) {
    const list = topics.get(one.topic);
    if (list === undefined) topics.set(one.topic, [make(one)]);
    else list.push(make(one));
  }
  return [...topics].map(([name, partitions]) => ({ name, partitions }));
}
