/**
 * The envelope: what bus messages, HEADs, requests and replies are as bytes.
 *
 * On the path: owner -> ENVELOPE -> wire -> ENVELOPE -> follower (a bus inside one process goes without).
 * Layout: `T`, `G`, version, what it is, then JSON in UTF-8.
 * Invariants: a codec of version N writes N and reads N and N-1; what it cannot read it refuses with a GatewayError that
 * is returned, never thrown: BUS_VERSION (other version) or BUS_MALFORMED (truncated, garbage, wrong shape).
 */
import { GatewayError } from "../lib/errors.ts";
import { BUS_VERSION, type BusMessage, type Head, type StateReply, type StateRequest } from "./bus.ts";
import { headProblem, messageProblem, replyProblem, requestProblem } from "./shape.ts";

const T = 0x54;
const G = 0x47;
const PREFIX_BYTES = 4;
/** No version before this one was ever written. */
const FIRST_VERSION = 1;

const WHAT = { message: 1, head: 2, request: 3, reply: 4, heads: 5, ask: 6, answer: 7, part: 8, wants: 9 } as const;
export type What = keyof typeof WHAT;

export interface BusCodec {
  readonly version: number;
  encodeMessage(message: BusMessage): Uint8Array;
  decodeMessage(bytes: Uint8Array): BusMessage | GatewayError;
  encodeHead(head: Head): Uint8Array;
  decodeHead(bytes: Uint8Array): Head | GatewayError;
  encodeRequest(request: StateRequest): Uint8Array;
  decodeRequest(bytes: Uint8Array): StateRequest | GatewayError;
  /** Null travels too: "no such channel here". */
  encodeReply(reply: StateReply | null): Uint8Array;
  decodeReply(bytes: Uint8Array): StateReply | null | GatewayError;
}

/** A codec that writes `version`: while a cluster is upgraded its newer nodes may write the older one. */
export function createCodec(version: number = BUS_VERSION): BusCodec {
  const encode = (what: What, body: unknown): Uint8Array => seal(what, JSON.stringify(body), version);

  const decode = <Body>(what: What, bytes: Uint8Array, problemOf: (body: unknown) => string | null) => {
    const body = open(what, bytes, version);
    if (body instanceof GatewayError) return body;
    const problem = problemOf(body);
    if (problem !== null) return malformed(what, problem);
    // Its shape was just checked field by field.
    return body as Body;
  };

  return {
    version,
    encodeMessage: (message) => encode("message", { ...message, version }),
    decodeMessage: (bytes) => decode<BusMessage>("message", bytes, messageProblem),
    encodeHead: (head) => encode("head", { ...head, version }),
    decodeHead: (bytes) => decode<Head>("head", bytes, headProblem),
    encodeRequest: (request) => encode("request", request),
    decodeRequest: (bytes) => decode<StateRequest>("request", bytes, requestProblem),
    encodeReply: (reply) => encode("reply", reply === null ? null : { ...reply, version }),
    decodeReply: (bytes) => decode<StateReply | null>("reply", bytes, replyProblem),
  };
}

/** Puts the envelope around a body that is JSON already. */
export function seal(what: What, json: string, version: number): Uint8Array {
  const bytes = Buffer.allocUnsafe(PREFIX_BYTES + Buffer.byteLength(json));
  bytes[0] = T;
  bytes[1] = G;
  bytes[2] = version;
  bytes[3] = WHAT[what];
  bytes.write(json, PREFIX_BYTES);
  return bytes;
}

/** Of what sort the envelope says it is; null if there is none. */
export function sortOf(bytes: Uint8Array): What | null {
  if (bytes.length <= PREFIX_BYTES || bytes[0] !== T || bytes[1] !== G) return null;
  return SORTS.get(bytes[3]!) ?? null;
}

const SORTS: ReadonlyMap<number, What> = new Map(Object.entries(WHAT).map(([what, n]) => [n, what as What]));

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The body, parsed but not judged; or why it cannot be read. */
export function open(what: What, bytes: Uint8Array, version: number): unknown {
  if (bytes.length <= PREFIX_BYTES || bytes[0] !== T || bytes[1] !== G) return malformed(what, "no bus envelope");
  const theirs = bytes[2]!;
  if (theirs < FIRST_VERSION || theirs < version - 1 || theirs > version) {
    return new GatewayError(
      "BUS_VERSION",
      `bus ${what} has version ${theirs}, this node reads ${version} and ${version - 1}: upgrade one version at a time`,
    );
  }
  if (bytes[3] !== WHAT[what]) return malformed(what, `is of sort ${bytes[3]}`);
  try {
    return JSON.parse(utf8.decode(bytes.subarray(PREFIX_BYTES)));
  } catch (cause) {
    return malformed(what, "not JSON", cause);
  }
}

export const malformed = (what: What, problem: string, cause?: unknown): GatewayError =>
  new GatewayError("BUS_MALFORMED", `bus ${what} refused: ${problem}`, { cause });
