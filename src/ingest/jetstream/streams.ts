/**
 * Finds the stream that holds a subject, and says in one sentence why there is none.
 *
 * Invariant: whatever is wrong becomes a GatewayError STREAM_MISSING or JETSTREAM_API; both are tried again.
 */
import {
  JetStreamApiCodes,
  JetStreamApiError,
  type JetStreamManager,
  jetstreamManager,
  type StreamInfo,
} from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { GatewayError } from "../../lib/errors.ts";
import { overlap } from "../nats/subjects.ts";

const API_MS_MAX = 4000;

export interface StreamChoice {
  readonly subject: string;
  /** Null: the one that holds the subject. */
  readonly stream: string | null;
  /** JetStream domain; null: that of the server. */
  readonly domain: string | null;
}

export const managerOf = (connection: NatsConnection, domain: string | null): Promise<JetStreamManager> =>
  jetstreamManager(connection, { checkAPI: false, timeout: API_MS_MAX, ...(domain === null ? {} : { domain }) });

export const apiPrefix = (domain: string | null): string => (domain === null ? "$JS.API" : `$JS.${domain}.API`);

/** The stream that is to be read. Rejects with GatewayError. */
export async function findStream(manager: JetStreamManager, choice: StreamChoice): Promise<StreamInfo> {
  const { subject, stream } = choice;
  try {
    if (stream === null) return await manager.streams.info(await nameFor(manager, subject));
    const info = await manager.streams.info(stream);
    const { subjects = [], mirror, sources = [] } = info.config;
    // A copy of other streams need not say what it holds.
    const isCopy = mirror !== undefined || sources.length > 0;
    if (!isCopy && !subjects.some((one) => overlap(one, subject))) {
      throw missing(`stream ${stream} does not take ${subject}, it takes ${subjects.join(", ")}: change its subjects`);
    }
    return info;
  } catch (cause) {
    throw sentenceOf(cause, choice);
  }
}

async function nameFor(manager: JetStreamManager, subject: string): Promise<string> {
  const names: string[] = [];
  for await (const name of manager.streams.names(subject)) names.push(name);
  const [name, ...others] = names;
  if (name === undefined) throw missing(`no stream holds ${subject}: make one with this subject`);
  if (others.length > 0) {
    throw missing(`${subject} is held by the streams ${names.join(", ")}: say which one with the property "stream"`);
  }
  return name;
}

const missing = (sentence: string): GatewayError => new GatewayError("STREAM_MISSING", sentence);

/** What a request to the API failed with, as a sentence. */
export function sentenceOf(cause: unknown, { stream, domain }: StreamChoice): GatewayError {
  if (cause instanceof GatewayError) return cause;
  const message = cause instanceof Error ? cause.message : String(cause);
  if (cause instanceof JetStreamApiError && cause.code === JetStreamApiCodes.StreamNotFound) {
    return new GatewayError("STREAM_MISSING", `there is no stream ${stream ?? ""}: make it`, { cause });
  }
  if (/not enabled|no responders/i.test(message)) {
    const where = domain === null ? "this server or account" : `the domain ${domain}`;
    return new GatewayError("JETSTREAM_API", `JetStream is not enabled for ${where}`, { cause });
  }
  if (/^timeout$/i.test(message)) {
    return new GatewayError("JETSTREAM_API", "JetStream does not answer in time: it hangs, or has no leader", {
      cause,
    });
  }
  if (/permissions violation/i.test(message)) {
    return new GatewayError("JETSTREAM_API", `the user may not use JetStream (${message})`, { cause });
  }
  return new GatewayError("JETSTREAM_API", `JetStream does not do what was asked (${message})`, { cause });
}

export const isConsumerMissing = (cause: unknown): boolean =>
  cause instanceof JetStreamApiError && cause.code === JetStreamApiCodes.ConsumerNotFound;
