/**
 * How checkpoints lie in the bucket: keys, pieces, and reading them while somebody may write.
 *
 * Beside the path: part of jetstream.ts, whose words say who writes where.
 * At the limit: a body that is replaced TRIES_MAX times while it is read is not read (CHECKPOINT_STORE); it is not lost.
 */
import { createHash, randomBytes } from "node:crypto";
import type { KV } from "@nats-io/kv";
import { GatewayError } from "../../lib/errors.ts";
import type { CheckpointHead } from "../checkpoint.ts";

/** Where a body lies. Its pieces begin with `mark`, so that one that was overwritten meanwhile is noticed. */
export interface Body {
  readonly writer: string;
  readonly slot: 0 | 1;
  readonly mark: string;
  readonly pieces: number;
}

export interface Entry {
  readonly head: CheckpointHead;
  readonly body: Body;
  /** For who looks into the bucket. */
  readonly shard: string;
}

export interface Held extends Entry {
  readonly revision: number;
}

const MARK_BYTES = 16;
const PIECES_AT_ONCE = 4;
const TRIES_MAX = 5;

export const hash = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 24);

export const headKey = (shard: string): string => `${hash(shard)}.head`;

export const pieceKey = (shard: string, { writer, slot }: Body, at: number): string =>
  `${hash(shard)}.${writer}.${slot}.${at}`;

export const newMark = (): string => randomBytes(MARK_BYTES / 2).toString("hex");

/** The newest head with its body; `bytes` null: that head still stands and its pieces are not there. Null: no head. */
export async function readNewest(
  kv: Pick<KV, "get">,
  shard: string,
): Promise<{ readonly head: CheckpointHead; readonly bytes: Uint8Array | null } | null> {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const held = await readHead(kv, shard);
    if (held === null) return null;
    const bytes = await readBody(kv, shard, held.body);
    if (bytes !== null || (await readHead(kv, shard))?.revision === held.revision) return { head: held.head, bytes };
  }
  throw new GatewayError("CHECKPOINT_STORE", `it was replaced ${TRIES_MAX} times while it was read`);
}

export async function readHead(kv: Pick<KV, "get">, shard: string): Promise<Held | null> {
  const entry = await kv.get(headKey(shard));
  if (entry === null || entry.operation !== "PUT") return null;
  return { ...(JSON.parse(entry.string()) as Entry), revision: entry.revision };
}

/** Null if a piece is missing or of another body. */
async function readBody(kv: Pick<KV, "get">, shard: string, body: Body): Promise<Uint8Array | null> {
  const pieces: Uint8Array[] = [];
  let isWhole = true;
  await eachOf(Array.from({ length: body.pieces }), async (_, at) => {
    const value = isWhole ? (await kv.get(pieceKey(shard, body, at)))?.value : undefined;
    if (value === undefined || Buffer.from(value.subarray(0, MARK_BYTES)).toString("latin1") !== body.mark) {
      isWhole = false;
    } else pieces[at] = value.subarray(MARK_BYTES);
  });
  return isWhole ? Buffer.concat(pieces) : null;
}

export function piecesOf(bytes: Uint8Array, mark: string, most: number): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += most) {
    pieces.push(Buffer.concat([Buffer.from(mark, "latin1"), bytes.subarray(at, at + most)]));
  }
  return pieces;
}

/** A few at a time. */
export async function eachOf<Item>(
  items: readonly Item[],
  act: (item: Item, at: number) => Promise<unknown>,
): Promise<void> {
  for (let at = 0; at < items.length; at += PIECES_AT_ONCE) {
    await Promise.all(items.slice(at, at + PIECES_AT_ONCE).map((item, i) => act(item, at + i)));
  }
}
