import { expect, test } from "bun:test";
import { Stdout } from "./stdout.ts";

/** A stream that takes what is written when the test says so. */
function stage() {
  const taken: ((error?: Error | null) => void)[] = [];
  const stdout = new Stdout({ write: (_, call) => taken.push(call) });
  let isSettled = false;
  const settle = async (): Promise<boolean> => {
    void stdout.settled().then(() => {
      isSettled = true;
    });
    await Promise.resolve();
    await Promise.resolve();
    return isSettled;
  };
  return { stdout, settle, take: (error?: Error) => taken.shift()?.(error ?? null) };
}

const failed = (code: string): Error => Object.assign(new Error(`${code}: it did not work`), { code });

test("stdout - the end waits until all that was written is taken", async () => {
  expect(await stage().settle()).toBe(true);
  const again = stage();
  again.stdout.write("abc");
  again.stdout.write("de");
  expect(again.stdout.waitingBytes).toBe(5);
  expect(await again.settle()).toBe(false);
  again.take();
  expect(again.stdout.waitingBytes).toBe(2);
  expect(await again.settle()).toBe(false);
  again.take();
  expect(await again.settle()).toBe(true);
  expect(again.stdout.fault).toBe(null);
});

test("stdout - what cannot be written is a fault, a reader that went away is none", async () => {
  const full = stage();
  full.stdout.write("a");
  full.take(failed("ENOSPC"));
  expect([await full.settle(), full.stdout.fault]).toEqual([true, "ENOSPC: it did not work"]);
  const head = stage();
  head.stdout.write("a");
  head.take(failed("EPIPE"));
  expect([await head.settle(), head.stdout.fault]).toEqual([true, null]);
});

test("stdout - what was given up is not waited for", async () => {
  const { stdout, settle } = stage();
  stdout.write("a");
  expect(await settle()).toBe(false);
  stdout.abandon();
  expect(await settle()).toBe(true);
});
