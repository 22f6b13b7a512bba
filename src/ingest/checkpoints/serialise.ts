/**
 * A checkpoint as bytes and back, without holding up the event loop.
 *
 * Beside the path: shard -> cut -> SERIALISE -> checkpoint store. A cut never changes (checkpoint.ts), so it can be written
 * piece by piece over many turns while the shard goes on.
 * Form: `TGCK`, a byte with the version of the form, a byte that says how the body is packed, 4 bytes length of the head, the
 * head as JSON (checkpoint.ts, CheckpointHead), the body: one JSON text a line. Magic, version, length and head stay as they
 * are in all versions to come: whoever cannot read the body still learns token and ceiling, and begins a new epoch above it.
 * Invariants: what is read equals what was written; what cannot be read is refused whole (CHECKPOINT_FORMAT).
 * At the limit: no piece takes longer than one book's HISTORY_PIECE publications; a turn ends after TURN_MS.
 */
import { promisify } from "node:util";
import { zstdCompress, zstdDecompress } from "node:zlib";
import { GatewayError } from "../../lib/errors.ts";
import type { Checkpoint, CheckpointHead, SavedChain, SavedKeeper } from "../checkpoint.ts";
import { turn } from "../wait.ts";

const MAGIC = "TGCK";
const VERSION = 1;
const HEAD_AT = 10;
const PLAIN = 0;
const ZSTD = 1;
/** A smaller body is not worth packing. */
const PACKED_BYTES_MIN = 16 * 1024;
const TURN_MS = 2;
const HISTORY_PIECE = 100;
const BODY_BYTES_MAX = 1024 * 1024 * 1024;

export interface SerialiseOptions {
  /** The body is compressed, off the main thread. Default true. */
  readonly pack?: boolean;
  /** Monotonic ms, for the budget of a turn. */
  readonly nowMs?: () => number;
}

type Line =
  | { readonly is: "rest"; readonly value: unknown }
  | { readonly is: "instruments" | "derived"; readonly value: unknown }
  /** A chain without its history, which follows. */
  | { readonly is: "chain"; readonly key: string; readonly value: unknown }
  | { readonly is: "history"; readonly value: readonly unknown[] };

const packed = promisify(zstdCompress);
const unpacked = promisify(zstdDecompress);

export async function serialise(checkpoint: Checkpoint, options: SerialiseOptions = {}): Promise<Uint8Array> {
  const { pack = true, nowMs = () => performance.now() } = options;
  const pieces: Uint8Array[] = [];
  const encoder = new TextEncoder();
  let beganMs = nowMs();
  for (const line of linesOf(checkpoint)) {
    pieces.push(encoder.encode(`${JSON.stringify(line)}\n`));
    if (nowMs() - beganMs < TURN_MS) continue;
    await turn();
    beganMs = nowMs();
  }
  const body = Buffer.concat(pieces);
  const isPacked = pack && body.length >= PACKED_BYTES_MIN;
  return framed(headOf(checkpoint), isPacked ? ZSTD : PLAIN, isPacked ? await packed(body) : body);
}

/** Throws GatewayError CHECKPOINT_FORMAT. */
export async function deserialise(bytes: Uint8Array): Promise<Checkpoint> {
  const { head, packing, body } = unframed(bytes);
  let text: Uint8Array = body;
  try {
    if (packing === ZSTD) text = await unpacked(body, { maxOutputLength: BODY_BYTES_MAX });
    else if (packing !== PLAIN) throw new Error(`it is packed in way ${packing}`);
    return await fromLines(head, text);
  } catch (error) {
    throw unreadable(error instanceof Error ? error.message : String(error));
  }
}

/** The head alone, which can be read of any version; null if the bytes are no checkpoint at all. */
export function readHead(bytes: Uint8Array): CheckpointHead | null {
  try {
    return headAt(bytes).head;
  } catch {
    // The reason does not matter to whoever can do without.
    return null;
  }
}

export const headOf = ({ token, owner, epoch, base, ceiling, offset }: CheckpointHead): CheckpointHead => ({
  token,
  owner,
  epoch,
  base,
  ceiling,
  offset,
});

/** A checkpoint whose state is lost: it fits no mapper, so its shard begins a new epoch above its ceiling. */
export const withoutState = (head: CheckpointHead): Checkpoint => ({
  ...head,
  offset: null,
  position: null,
  incarnation: "",
  mapperVersion: "",
  provides: [],
  channels: {},
  instruments: [],
  tradeIds: null,
  derivation: { since: null, instruments: [] },
  sourceTime: 0,
});

// --- body ---------------------------------------------------------------------------------------------------------

function* linesOf(checkpoint: Checkpoint): Generator<Line> {
  const {
    channels,
    instruments,
    derivation,
    token: _,
    owner: __,
    epoch: ___,
    base: ____,
    ceiling,
    offset,
    ...rest
  } = checkpoint;
  yield { is: "rest", value: { ...rest, since: derivation.since } };
  for (let i = 0; i < instruments.length; i += HISTORY_PIECE) {
    yield { is: "instruments", value: instruments.slice(i, i + HISTORY_PIECE) };
  }
  for (const instrument of derivation.instruments) yield { is: "derived", value: instrument };
  for (const [key, { state, ...chain }] of Object.entries(channels)) {
    if (!("history" in state)) {
      yield { is: "chain", key, value: { ...chain, state } };
      continue;
    }
    const { history, ...bare } = state;
    yield { is: "chain", key, value: { ...chain, state: bare } };
    for (let i = 0; i < history.length; i += HISTORY_PIECE) {
      yield { is: "history", value: history.slice(i, i + HISTORY_PIECE) };
    }
  }
}

interface Rest extends Omit<Checkpoint, keyof CheckpointHead | "channels" | "instruments" | "derivation"> {
  readonly since: number | null;
}

async function fromLines(head: CheckpointHead, body: Uint8Array): Promise<Checkpoint> {
  let rest: Rest | null = null;
  const channels: Record<string, SavedChain> = {};
  const instruments: Checkpoint["instruments"][number][] = [];
  const derived: Checkpoint["derivation"]["instruments"][number][] = [];
  let history: unknown[] | null = null;
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let beganMs = performance.now();
  for (let at = 0; at < body.length; ) {
    const end = body.indexOf(0x0a, at);
    if (end < 0) throw new Error("it ends in the middle of a line");
    const line = JSON.parse(decoder.decode(body.subarray(at, end))) as Line;
    at = end + 1;
    if (line.is === "rest") rest = line.value as Rest;
    else if (line.is === "instruments") instruments.push(...(line.value as typeof instruments));
    else if (line.is === "derived") derived.push(line.value as (typeof derived)[number]);
    else if (line.is === "history") {
      if (history === null) throw new Error("a history belongs to no chain");
      history.push(...line.value);
    } else if (line.is === "chain") {
      const chain = line.value as SavedChain;
      history = ["book", "items"].includes(chain.state.form) ? [] : null;
      const state = (history === null ? chain.state : { ...chain.state, history }) as SavedKeeper;
      channels[line.key] = { ...chain, state };
    } else throw new Error("it has a line of an unknown kind");
    if (performance.now() - beganMs < TURN_MS) continue;
    await turn();
    beganMs = performance.now();
  }
  if (rest === null) throw new Error("its first line is missing");
  const { since, ...others } = rest;
  return { ...others, ...head, channels, instruments, derivation: { since, instruments: derived } };
}

// --- frame --------------------------------------------------------------------------------------------------------

function framed(head: CheckpointHead, packing: number, body: Uint8Array): Uint8Array {
  const text = Buffer.from(JSON.stringify(head));
  const start = Buffer.alloc(HEAD_AT);
  start.write(MAGIC, "latin1");
  start[4] = VERSION;
  start[5] = packing;
  start.writeUInt32BE(text.length, 6);
  return Buffer.concat([start, text, body]);
}

function unframed(bytes: Uint8Array): { head: CheckpointHead; packing: number; body: Uint8Array } {
  const { head, end } = headAt(bytes);
  const [version, packing = PLAIN] = bytes.subarray(4, 6);
  if (version !== VERSION) throw unreadable(`it has version ${version} of the form, this node reads ${VERSION}`);
  return { head, packing, body: bytes.subarray(end) };
}

function headAt(bytes: Uint8Array): { head: CheckpointHead; end: number } {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.length < HEAD_AT || view.toString("latin1", 0, 4) !== MAGIC) throw unreadable("it is no checkpoint");
  const end = HEAD_AT + view.readUInt32BE(6);
  if (end > view.length) throw unreadable("it is cut off");
  let head: unknown;
  try {
    head = JSON.parse(view.toString("utf8", HEAD_AT, end));
  } catch {
    throw unreadable("its head is no JSON");
  }
  if (!isHead(head)) throw unreadable("its head lacks something");
  return { head, end };
}

function isHead(value: unknown): value is CheckpointHead {
  if (typeof value !== "object" || value === null) return false;
  const { token, owner, epoch, base, ceiling, offset } = value as Record<string, unknown>;
  return (
    [token, base, ceiling].every(Number.isSafeInteger) &&
    typeof owner === "string" &&
    typeof epoch === "string" &&
    (offset === null || Number.isSafeInteger(offset))
  );
}

const unreadable = (reason: string): GatewayError =>
  new GatewayError("CHECKPOINT_FORMAT", `a stored checkpoint cannot be read: ${reason}`);
