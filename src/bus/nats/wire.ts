/**
 * What nodes say to each other over NATS, as bytes: batches of publications, HEADs, requests, answers.
 *
 * Everything stands in the bus envelope (../envelope.ts). A batch is an envelope "message" as any codec reads it, written
 * from publications that are JSON already; `sentUs` beside its header is the sender's wall clock.
 * Invariant: what cannot be read is returned as a GatewayError, never thrown.
 */
import { GatewayError } from "../../lib/errors.ts";
import {
  BUS_VERSION,
  type BusMessage,
  type Head,
  type ShardHeader,
  type StateReply,
  type StateRequest,
} from "../bus.ts";
import { createCodec, malformed, open, seal, type What } from "../envelope.ts";
import { headProblem, replyProblem, requestProblem } from "../shape.ts";
import type { WantsFrame } from "./wants.ts";

/** HEADs of one node, and that it is there: sent with every HEAD, when it begins or ends to serve, and to a newcomer. */
export interface HeadsFrame {
  readonly node: string;
  /** Shards it serves; 0: it answers no requests. */
  readonly serves: number;
  /** Asks the others to say who they are. */
  readonly hello: boolean;
  /** Version of what it wants (wants.ts). */
  readonly wants: number;
  readonly heads: readonly Head[];
}

/** Asks for a channel's state, or for a shard's HEAD. */
export type AskFrame = { readonly node: string; readonly id: number } & (
  | { readonly request: StateRequest }
  | { readonly headOf: string }
);

/** `reply: null`: nothing of that is here. */
export type AnswerFrame = { readonly node: string; readonly id: number } & (
  | { readonly reply: StateReply | null }
  | { readonly head: Head }
);

export interface ReceivedBatch extends BusMessage {
  /** Wall clock of the sender; 0 if it did not say. */
  readonly sentUs: number;
}

export interface Wire {
  /** The version it writes. */
  readonly writes: number;
  /** `publications`: each as JSON. */
  batch(header: ShardHeader, sentUs: number, publications: readonly string[]): Uint8Array;
  readBatch(bytes: Uint8Array): ReceivedBatch | GatewayError;
  heads(frame: HeadsFrame): Uint8Array;
  readHeads(bytes: Uint8Array): HeadsFrame | GatewayError;
  ask(frame: AskFrame): Uint8Array;
  readAsk(bytes: Uint8Array): AskFrame | GatewayError;
  wants(frame: WantsFrame): Uint8Array;
  readWants(bytes: Uint8Array): WantsFrame | GatewayError;
  answer(frame: AnswerFrame): Uint8Array;
  readAnswer(bytes: Uint8Array): AnswerFrame | GatewayError;
}

type Fields = Record<string, unknown>;
const isObject = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isNode = (value: unknown): value is string => typeof value === "string" && value !== "";

/**
 * `version`: the newest this program knows, it reads that and the one before. `writes`: what it writes, the older of the
 * two while a cluster is upgraded.
 */
export function createWire(version: number = BUS_VERSION, writes: number = version): Wire {
  const codec = createCodec(version);
  const read = <Frame>(what: What, bytes: Uint8Array, problemOf: (body: Fields) => string | null) => {
    const body = open(what, bytes, version);
    if (body instanceof GatewayError) return body;
    if (!isObject(body)) return malformed(what, "no object");
    const problem = isNode(body.node) ? problemOf(body) : "node";
    // Its shape was just checked field by field.
    return problem === null ? (body as unknown as Frame) : malformed(what, problem);
  };
  /** Every header says the version it is written in. */
  const written = <Body extends ShardHeader>(body: Body): Body => ({ ...body, version: writes });

  return {
    writes,
    batch({ shard, token, epoch }, sentUs, publications) {
      const header = JSON.stringify({ version: writes, shard, token, epoch, sentUs });
      return seal("message", `${header.slice(0, -1)},"publications":[${publications.join()}]}`, writes);
    },
    readBatch(bytes) {
      const message = codec.decodeMessage(bytes);
      if (message instanceof GatewayError) return message;
      const { sentUs } = message as Partial<ReceivedBatch>;
      return { ...message, sentUs: Number.isSafeInteger(sentUs) ? (sentUs as number) : 0 };
    },
    heads: (frame) => seal("heads", JSON.stringify({ ...frame, heads: frame.heads.map(written) }), writes),
    readHeads: (bytes) => read<HeadsFrame>("heads", bytes, headsProblem),
    ask: (frame) => seal("ask", JSON.stringify(frame), writes),
    readAsk: (bytes) => read<AskFrame>("ask", bytes, askProblem),
    wants: (frame) => seal("wants", JSON.stringify(frame), writes),
    readWants: (bytes) => read<WantsFrame>("wants", bytes, wantsProblem),
    answer(frame) {
      const { node, id } = frame;
      const what =
        "head" in frame ? { head: written(frame.head) } : { reply: frame.reply === null ? null : written(frame.reply) };
      return seal("answer", JSON.stringify({ node, id, ...what }), writes);
    },
    readAnswer: (bytes) => read<AnswerFrame>("answer", bytes, answerProblem),
  };
}

const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every((text) => typeof text === "string");

function wantsProblem({ version, full, add, drop, asks }: Fields): string | null {
  if (!Number.isSafeInteger(version)) return "version";
  if (typeof full !== "boolean") return "full";
  if (!isTexts(add)) return "add";
  if (!isTexts(drop)) return "drop";
  return typeof asks === "string" ? null : "asks";
}

function headsProblem({ serves, hello, wants, heads }: Fields): string | null {
  if (!Number.isSafeInteger(serves)) return "serves";
  if (!Number.isSafeInteger(wants)) return "wants";
  if (typeof hello !== "boolean") return "hello";
  if (!Array.isArray(heads)) return "heads";
  for (const head of heads) {
    const problem = headProblem(head);
    if (problem !== null) return `heads: ${problem}`;
  }
  return null;
}

function askProblem({ id, request, headOf }: Fields): string | null {
  if (!Number.isSafeInteger(id)) return "id";
  if (request === undefined) return typeof headOf === "string" ? null : "headOf";
  return requestProblem(request);
}

function answerProblem({ id, reply, head }: Fields): string | null {
  if (!Number.isSafeInteger(id)) return "id";
  return reply === undefined ? headProblem(head) : replyProblem(reply);
}
