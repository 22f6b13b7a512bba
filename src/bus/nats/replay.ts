/**
 * Healing from the stream: what a receiver misses of a chain, where its owner does not answer.
 *
 * Beside the path. Invariant: the answer is an unbroken chain from the asked position on, of the epoch asked for, or none.
 * At the limit: MESSAGES_MAX messages are read, within READ_MS; a gap longer than that is left to the owner.
 */
import { DeliverPolicy, jetstream } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import type { Publication } from "../../channel/types.ts";
import { GatewayError } from "../../lib/errors.ts";
import type { ShardHeader, StateReply, StateRequest } from "../bus.ts";
import { Whole } from "./parts.ts";
import type { Wire } from "./wire.ts";

const MESSAGES_MAX = 5000;
const READ_MS = 1000;

export interface ReplayQuestion {
  readonly connection: NatsConnection;
  readonly stream: string;
  readonly subject: string;
  readonly wire: Wire;
  readonly request: StateRequest;
  /** Wall clock in ms from which on to read. */
  readonly fromMs: number;
}

/** Null if the stream cannot continue the chain. */
export async function replay(question: ReplayQuestion): Promise<StateReply | null> {
  const { request } = question;
  if (request.since === null) return null;
  const after: Publication[] = [];
  let position = request.since.seq;
  let header: ShardHeader | null = null;
  for (const batch of await stored(question)) {
    if (batch.epoch !== request.since.epoch || (header !== null && batch.token < header.token)) continue;
    for (const p of batch.publications) {
      if (p.channel !== request.channel || p.user !== request.user || p.seq <= position) continue;
      if (p.prev !== position) return null;
      after.push(p);
      position = p.seq;
      header = batch;
    }
  }
  const last = after.at(-1);
  if (header === null || last === undefined) return null;
  const { version, shard, token, epoch } = header;
  return {
    ...{ version, shard, token, epoch, after },
    channel: request.channel,
    user: request.user,
    seq: last.seq,
    provides: [],
    state: null,
    time: last.time,
    history: [],
    stale: false,
  };
}

async function stored({ connection, stream, subject, wire, fromMs }: ReplayQuestion) {
  const consumer = await jetstream(connection, { timeout: READ_MS }).consumers.get(stream, {
    filter_subjects: subject,
    deliver_policy: DeliverPolicy.StartTime,
    opt_start_time: new Date(fromMs).toISOString(),
    inactive_threshold: 5000,
  });
  const batches = [];
  if ((await consumer.info()).num_pending === 0) return [];
  const whole = new Whole(() => undefined);
  for await (const message of await consumer.fetch({ max_messages: MESSAGES_MAX, expires: READ_MS })) {
    const bytes = whole.take(subject, message.data);
    const batch = bytes === null ? null : wire.readBatch(bytes);
    // What this node cannot read it could not read when it came either: it was counted then.
    if (batch !== null && !(batch instanceof GatewayError)) batches.push(batch);
    if (message.info.pending === 0) break;
  }
  return batches;
}
