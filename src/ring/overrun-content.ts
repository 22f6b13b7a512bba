/** For the overrun test: a record whose every field follows from its number, so that a reader can tell it from any mix. */
import { RecordKind } from "./messages.ts";
import type { RecordFields, RingRecord } from "./ring.ts";

const LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789";
const BASE = LETTERS.repeat(300);

const scramble = (n: number): number => Math.imul((n ^ (n >>> 15)) + 0x9e37_79b9, 0x85eb_ca6b) >>> 0;

/** Texts repeat after this many records, so that a writer can have them ready. */
export const TEXTS = 4096;

/** Mostly small, sometimes nearly 8 KiB; one in seven is not ASCII. */
export function textOf(seq: number): string {
  const random = scramble(seq & (TEXTS - 1));
  const length = random % 5 === 0 ? random % 7800 : random % 300;
  const from = random % LETTERS.length;
  const body = `${seq & (TEXTS - 1)}:${BASE.slice(from, from + length)}`;
  return random % 7 === 0 ? `é${body.slice(0, 2500)}€` : body;
}

export const fieldsOf = (seq: number): RecordFields => ({
  flags: seq & 1,
  topic: scramble(seq + 1),
  request: scramble(seq + 2),
  seq,
  receivedUs: seq * 3,
});

export const isWhole = (record: RingRecord): boolean => {
  const expected = fieldsOf(record.seq);
  return (
    record.kind === RecordKind.PUBLISH &&
    record.flags === expected.flags &&
    record.topic === expected.topic &&
    record.request === expected.request &&
    record.receivedUs === expected.receivedUs &&
    record.text === textOf(record.seq)
  );
};
