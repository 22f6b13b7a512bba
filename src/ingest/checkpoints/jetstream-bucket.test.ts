import { expect, test } from "bun:test";
import type { KvEntry } from "@nats-io/kv";
import { type Body, headKey, newMark, pieceKey, piecesOf, readNewest } from "./jetstream-bucket.ts";
import { headOf, withoutState } from "./serialise.ts";

const SHARD = "s";
const head = headOf(withoutState({ token: 1, owner: "o", epoch: "e", base: 1, ceiling: 9, offset: null }));

/** A bucket whose owner stores one more checkpoint at each call of `store`, in two slots by turns. */
function bucket() {
  const values = new Map<string, Uint8Array>();
  let revision = 0;
  const hooks = { head: (): void => undefined, piece: (): void => undefined };
  return {
    values,
    hooks,
    store(text: string): void {
      revision++;
      const body: Body = { writer: "w", slot: revision % 2 === 0 ? 0 : 1, mark: newMark(), pieces: 2 };
      const pieces = piecesOf(Buffer.from(text), body.mark, Math.ceil(text.length / 2));
      for (const [at, piece] of pieces.entries()) values.set(pieceKey(SHARD, body, at), piece);
      values.set(headKey(SHARD), Buffer.from(JSON.stringify({ head, body, shard: SHARD })));
    },
    get(key: string): Promise<KvEntry | null> {
      const value = values.get(key);
      const found = { operation: "PUT", revision, value, string: () => Buffer.from(value ?? []).toString() };
      if (key === headKey(SHARD)) hooks.head();
      else hooks.piece();
      return Promise.resolve(value === undefined ? null : (found as KvEntry));
    },
  };
}

test("checkpoints in JetStream - a body that is overwritten while it is read is not lost: the newer one is read", async () => {
  const kv = bucket();
  expect(await readNewest(kv, SHARD)).toBeNull();
  kv.store("first");
  let writes = 0;
  kv.hooks.piece = () => {
    // Twice, so that the slot which is read is written again.
    if (writes++ === 0) for (const text of ["second", "third!"]) kv.store(text);
  };
  const newest = await readNewest(kv, SHARD);
  expect(newest?.head).toEqual(head);
  expect(Buffer.from(newest?.bytes ?? []).toString()).toBe("third!");
});

test("checkpoints in JetStream - one that is written faster than it can be read is told, and not taken for one without state", async () => {
  const kv = bucket();
  kv.store("first");
  kv.hooks.piece = () => {
    for (const text of ["second", "third!"]) kv.store(text);
  };
  const error = await readNewest(kv, SHARD).catch((cause: { code?: string }) => cause.code);
  expect(error).toBe("CHECKPOINT_STORE");
  kv.hooks.piece = () => undefined;
  expect(Buffer.from((await readNewest(kv, SHARD))?.bytes ?? []).toString()).toBe("third!");
  for (const key of kv.values.keys()) if (key !== headKey(SHARD)) kv.values.delete(key);
  expect(await readNewest(kv, SHARD)).toEqual({ head, bytes: null });
});
