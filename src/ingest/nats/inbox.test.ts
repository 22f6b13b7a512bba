import { expect, test } from "bun:test";
import { Inbox, LOSS } from "./inbox.ts";

const arrival = (n: number, bytes = 10) => ({ topic: "t", value: new Uint8Array(bytes), receivedUs: n });

/** What is taken: the numbers of records, and losses. */
function rest(inbox: Inbox): (number | "loss")[] {
  const all: (number | "loss")[] = [];
  for (let next = inbox.take(); next !== null; next = inbox.take()) all.push(next === LOSS ? LOSS : next.receivedUs);
  return all;
}

test("nats inbox - a loss stands where it happened, once", () => {
  const inbox = new Inbox({ records: 100, bytes: 1e6 });
  inbox.lose();
  inbox.push(arrival(1));
  inbox.lose();
  inbox.lose();
  inbox.push(arrival(2));
  expect(rest(inbox)).toEqual([1, LOSS, 2]);
  inbox.lose();
  inbox.lose();
  expect(rest(inbox)).toEqual([LOSS]);
});

test("nats inbox - full of records: what comes is dropped and counted until half is taken, behind a loss", () => {
  const inbox = new Inbox({ records: 4, bytes: 1e6 });
  for (let n = 1; n <= 6; n++) inbox.push(arrival(n));
  expect([inbox.take(), inbox.take()].map((one) => one !== null && one !== LOSS && one.receivedUs)).toEqual([1, 2]);
  inbox.push(arrival(7));
  inbox.take();
  inbox.push(arrival(8));
  expect(rest(inbox)).toEqual([4, LOSS, 8]);
  expect([inbox.overflows, inbox.dropped]).toEqual([1, 3]);
});

test("nats inbox - full of bytes; a record that alone is too big is dropped, and the next is taken", () => {
  const inbox = new Inbox({ records: 100, bytes: 1000 });
  inbox.push(arrival(1, 2000));
  inbox.push(arrival(2, 700));
  inbox.push(arrival(3, 700));
  inbox.push(arrival(4));
  expect(rest(inbox)).toEqual([2, LOSS]);
  inbox.push(arrival(5));
  expect(rest(inbox)).toEqual([5]);
  expect([inbox.overflows, inbox.dropped]).toEqual([2, 3]);
});

test("nats inbox - order holds while much goes through it", () => {
  const inbox = new Inbox({ records: 5000, bytes: 1e9 });
  let pushed = 0;
  const taken: number[] = [];
  for (let round = 0; round < 50; round++) {
    for (let i = 0; i < 700; i++) inbox.push(arrival(pushed++));
    for (let i = 0; i < 640; i++) taken.push((inbox.take() as { receivedUs: number }).receivedUs);
  }
  taken.push(...(rest(inbox) as number[]));
  expect(taken).toEqual(Array.from({ length: pushed }, (_, n) => n));
});
