import { expect, test } from "bun:test";
import fc from "fast-check";
import { seal } from "../envelope.ts";
import { split, Whole } from "./parts.ts";

const message = (text: string): Uint8Array => seal("message", JSON.stringify(text), 1);
const text = (bytes: Uint8Array | null): string | null =>
  bytes === null ? null : (JSON.parse(Buffer.from(bytes.subarray(4)).toString("utf8")) as string);

test("parts - whatever is split comes together again, from several senders at once", () => {
  const texts = fc.array(fc.string({ maxLength: 400 }), { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(texts, fc.integer({ min: 25, max: 200 }), (sent, most) => {
      let incomplete = 0;
      const whole = new Whole(() => incomplete++);
      const lines = sent.map((one, at) => split(message(one), most, { sender: at, message: 0 }, 1));
      for (const line of lines) for (const part of line) expect(part.length).toBeLessThanOrEqual(most);
      const got: (string | null)[] = [];
      for (let at = 0; lines.some((line) => at < line.length); at++) {
        for (const line of lines) if (at < line.length) got.push(text(whole.take("heads", line[at]!)));
      }
      expect(got.filter((one) => one !== null).sort()).toEqual([...sent].sort());
      expect(incomplete).toBe(0);
    }),
  );
});

test("parts - one that is lost costs its message only, and is counted once", () => {
  let incomplete = 0;
  const whole = new Whole(() => incomplete++);
  const [one, two] = [0, 1].map((n) => split(message(`${n}`.repeat(100)), 60, { sender: 1, message: n }, 1));
  expect(one?.length).toBeGreaterThan(2);
  for (const [at, part] of one!.entries()) if (at !== 1) expect(whole.take("t", part)).toBeNull();
  expect(incomplete).toBe(1);
  expect(two!.map((part) => text(whole.take("t", part))).at(-1)).toBe("1".repeat(100));
  whole.take("t", one![0]!);
  whole.take("t", two![0]!);
  expect(incomplete).toBe(2);
  whole.clear();
  expect(incomplete).toBe(3);
  expect(whole.take("t", two![1]!)).toBeNull();
  expect(whole.take("t", one![0]!.subarray(0, 10))).toBeNull();
  expect(incomplete).toBe(4);
});

test("parts - a message without its beginning is counted once, also behind another one's lost end", () => {
  let incomplete = 0;
  const whole = new Whole(() => incomplete++);
  const lines = [0, 1, 2].map((n) => split(message(`${n}`.repeat(100)), 60, { sender: 1, message: n }, 1));
  const [one, two, three] = lines as [Uint8Array[], Uint8Array[], Uint8Array[]];
  for (const part of one.slice(1)) expect(whole.take("t", part)).toBeNull();
  expect(incomplete).toBe(1);
  whole.take("t", two[0]!);
  for (const part of three.slice(1)) expect(whole.take("t", part)).toBeNull();
  expect(incomplete).toBe(3);
  expect(two.map((part) => text(whole.take("t", part))).at(-1)).toBe("1".repeat(100));
  expect(incomplete).toBe(3);
});

test("parts - what a sender sends again after a reconnect neither harms nor counts", () => {
  let incomplete = 0;
  const whole = new Whole(() => incomplete++);
  const [one, two] = [0, 1].map((n) => split(message(`${n}`.repeat(100)), 60, { sender: 1, message: n }, 1));
  const take = (parts: Uint8Array[]): (string | null)[] => parts.map((part) => text(whole.take("t", part)));
  // Its end only, after it was whole; then from the middle, from the beginning, and all of it.
  expect(take([...one!, ...one!.slice(1)]).filter((got) => got !== null)).toEqual(["0".repeat(100)]);
  const again = [...two!.slice(0, 2), ...two!.slice(1, 2), ...two!.slice(0, 2), ...two!.slice(2)];
  expect(take(again).filter((got) => got !== null)).toEqual(["1".repeat(100)]);
  expect(take(two!).at(-1)).toBe("1".repeat(100));
  expect(incomplete).toBe(0);
});

test("parts - all that is put together holds no more than its bound: the oldest goes", () => {
  let incomplete = 0;
  const whole = new Whole(() => incomplete++, 1000);
  const lines = Array.from({ length: 8 }, (_, n) => split(message("x".repeat(300)), 200, { sender: n, message: 0 }, 1));
  for (const line of lines) whole.take("t", line[0]!);
  expect(incomplete).toBe(3);
  expect(
    text(
      lines[7]!
        .slice(1)
        .map((part) => whole.take("t", part))
        .at(-1) ?? null,
    ),
  ).toBe("x".repeat(300));
});
