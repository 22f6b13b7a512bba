/**
 * Makes the consumer that a source reads from: one of its own that vanishes, or a durable one under the operator's name.
 *
 * The truth about where we are is our checkpoint, never the consumer: it is made anew at each start, behind the last record
 * that was read. A durable one shows operators how far we are and lets a stream of `interest` or `workqueue` retention
 * free what is stored with us.
 * Invariant: while a durable consumer is made anew on a stream of `interest` retention, another one holds the records.
 */
import {
  AckPolicy,
  type ConsumerConfig,
  type ConsumerInfo,
  DeliverPolicy,
  type JetStreamManager,
  ReplayPolicy,
  RetentionPolicy,
  type StreamInfo,
} from "@nats-io/jetstream";
import { GatewayError } from "../../lib/errors.ts";
import { type AckKind, EACH_MAX } from "./acks.ts";
import { isConsumerMissing } from "./streams.ts";

/** Where reading begins without a checkpoint, in the words of a consumer's configuration. */
export interface Begin {
  readonly policy: DeliverPolicy;
  readonly seq?: number | undefined;
  /** RFC 3339. */
  readonly time?: string | undefined;
}

export interface ConsumerPlan {
  readonly stream: StreamInfo;
  readonly subject: string;
  /** Records above this number; null: as `begin` says. */
  readonly position: number | null;
  readonly begin: Begin;
  /** Its name; null: one that vanishes. */
  readonly durable: string | null;
}

export interface MadeConsumer {
  readonly name: string;
  readonly durable: boolean;
  readonly acks: AckKind;
  readonly info: ConsumerInfo;
}

/** A consumer nobody asks for so long vanishes: longer than a busy sink may be busy. */
const UNUSED_MS = 5 * 60_000;
/** A record that is not acknowledged for so long comes again, and is passed over. */
const ACK_WAIT_MS = 60 * 60_000;
const GUARD_MS = 60_000;
const NS = 1_000_000;

export async function makeConsumer(manager: JetStreamManager, plan: ConsumerPlan): Promise<MadeConsumer> {
  const { stream, durable } = plan;
  const { name, retention } = stream.config;
  if (durable !== null) return makeDurable(manager, plan, durable);
  if (retention === RetentionPolicy.Workqueue) {
    throw new GatewayError(
      "STREAM_WORKQUEUE",
      `stream ${name} is a work queue, whose records stay until they are acknowledged: give a durable_name that nobody else uses`,
    );
  }
  const info = await manager.consumers.add(name, {
    ...reading(plan),
    ack_policy: AckPolicy.None,
    inactive_threshold: UNUSED_MS * NS,
    mem_storage: true,
    num_replicas: 1,
  });
  return { name: info.name, durable: false, acks: "none", info };
}

async function makeDurable(manager: JetStreamManager, plan: ConsumerPlan, durable: string): Promise<MadeConsumer> {
  const { name, retention } = plan.stream.config;
  const acks: AckKind = retention === RetentionPolicy.Workqueue ? "each" : "all";
  const guard = retention === RetentionPolicy.Interest ? await makeGuard(manager, plan) : null;
  await removeConsumer(manager, name, durable);
  const info = await manager.consumers.add(name, {
    ...reading(plan),
    durable_name: durable,
    ack_policy: acks === "each" ? AckPolicy.Explicit : AckPolicy.All,
    ack_wait: ACK_WAIT_MS * NS,
    max_ack_pending: acks === "each" ? EACH_MAX : -1,
  });
  if (guard !== null) await removeConsumer(manager, name, guard);
  return { name: durable, durable: true, acks, info };
}

/** Holds everything that the durable consumer held, for as long as that is gone. */
async function makeGuard(manager: JetStreamManager, plan: ConsumerPlan): Promise<string> {
  const info = await manager.consumers.add(plan.stream.config.name, {
    ...reading(plan),
    ack_policy: AckPolicy.Explicit,
    inactive_threshold: GUARD_MS * NS,
  });
  return info.name;
}

function reading({ stream, subject, position, begin }: ConsumerPlan): Partial<ConsumerConfig> {
  const all = { filter_subject: subject, replay_policy: ReplayPolicy.Instant };
  // A work queue gives everything that it still has, or nothing; what was read before is passed over.
  if (stream.config.retention === RetentionPolicy.Workqueue) return { ...all, deliver_policy: DeliverPolicy.All };
  if (position !== null) {
    return { ...all, deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: position + 1 };
  }
  return {
    ...all,
    deliver_policy: begin.policy,
    ...(begin.seq === undefined ? {} : { opt_start_seq: begin.seq }),
    ...(begin.time === undefined ? {} : { opt_start_time: begin.time }),
  };
}

/** Nothing if there is none of that name. */
export async function removeConsumer(manager: JetStreamManager, stream: string, name: string): Promise<void> {
  try {
    await manager.consumers.delete(stream, name);
  } catch (error) {
    if (!isConsumerMissing(error)) throw error;
  }
}
