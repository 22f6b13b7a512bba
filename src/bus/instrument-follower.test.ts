import { expect, test } from "bun:test";
import type { Instrument } from "../channel/instruments.ts";
import { GatewayError } from "../lib/errors.ts";
import { BUS_VERSION, type Head, instrumentsOf, type StateReply, type StateRequest } from "./bus.ts";
import { InstrumentFollower } from "./instrument-follower.ts";

const instrument = (symbol: string, tick = "0.1"): Instrument => ({
  ...{ market: "spot", symbol, spelling: symbol.toUpperCase(), base: "B", quote: "Q", tick, lot: "1" },
  ...{ status: "trading", inferred: true },
});

/** One owner that has told `list`, in this order, at most `atOnce` an answer. */
class Owner {
  token = 1;
  list: unknown[] = [];
  atOnce = 1000;
  silent = false;
  readonly asked: StateRequest[] = [];
  readonly taken: string[] = [];
  readonly refused: string[] = [];
  readonly #receivers: ((head: Head) => void)[] = [];
  readonly follower = new InstrumentFollower({
    bus: {
      heads: (receive) => {
        this.#receivers.push(receive);
        return { close: () => undefined };
      },
      request: (request) => this.#answer(request),
    },
    isOwn: (shard) => shard === "mine",
    take: ({ symbol, tick }, shard) => this.taken.push(`${shard} ${symbol} ${tick}`),
    refused: (_, reason) => this.refused.push(reason),
  });

  async head(shard = "s", instruments = this.list.length, token = this.token): Promise<void> {
    const header = { version: BUS_VERSION, shard, token, epoch: "e" };
    const head = { ...header, offset: 1, source: "connected", provides: [], full: true, last: [], instruments };
    for (const receive of this.#receivers) receive(head);
    for (let turn = 0; turn < 20; turn++) await null;
  }

  #answer(request: StateRequest): Promise<StateReply | null> {
    this.asked.push(request);
    if (this.silent) return Promise.reject(new GatewayError("BUS_NO_ANSWER", "nobody"));
    const { since, channel } = request;
    const from = since?.epoch === String(this.token) ? since.seq : 0;
    const seq = Math.min(this.list.length, from + this.atOnce);
    const data = this.list.slice(from, seq).map((one) => ({ json: JSON.stringify(one) }));
    const header = { version: BUS_VERSION, shard: "s", token: this.token, epoch: "e" };
    const nothing = { provides: [], after: null, time: 0, history: [], stale: false };
    return Promise.resolve({ ...header, ...nothing, channel, user: "", seq, state: { type: "items", data } });
  }
}

test("instrument follower - asks once for what is new, behind what it has", async () => {
  const owner = new Owner();
  await owner.head();
  expect(owner.asked).toEqual([]);
  owner.list = [instrument("a"), instrument("b")];
  await owner.head();
  await owner.head();
  expect(owner.taken).toEqual(["s a 0.1", "s b 0.1"]);
  expect(owner.asked).toEqual([{ channel: instrumentsOf("s"), user: "", since: null }]);
  owner.list.push(instrument("a", "0.01"));
  await owner.head();
  expect(owner.taken.slice(2)).toEqual(["s a 0.01"]);
  expect(owner.asked.at(-1)?.since).toEqual({ epoch: "1", seq: 2 });
});

test("instrument follower - goes on asking until it has all; its own shards are not asked", async () => {
  const owner = new Owner();
  owner.atOnce = 2;
  owner.list = ["a", "b", "c", "d", "e"].map((symbol) => instrument(symbol));
  await owner.head("mine");
  expect(owner.asked).toEqual([]);
  await owner.head();
  expect(owner.taken).toHaveLength(5);
  expect(owner.asked).toHaveLength(3);
});

test("instrument follower - a question without an answer is asked again with the next HEAD", async () => {
  const owner = new Owner();
  owner.list = [instrument("a")];
  owner.silent = true;
  expect(owner.follower.complete).toBe(true);
  await owner.head();
  expect(owner.refused).toEqual(["nobody"]);
  expect(owner.follower.complete).toBe(false);
  owner.silent = false;
  await owner.head();
  expect(owner.taken).toEqual(["s a 0.1"]);
  expect(owner.follower.complete).toBe(true);
});

test("instrument follower - a new owner begins anew, a former one is not heard", async () => {
  const owner = new Owner();
  owner.list = [instrument("a"), instrument("b")];
  await owner.head();
  owner.token = 2;
  owner.list = [instrument("c")];
  await owner.head();
  expect(owner.taken.at(-1)).toBe("s c 0.1");
  await owner.head("s", 9, 1);
  expect(owner.asked).toHaveLength(2);
});

test("instrument follower - what has not the shape of an instrument is left out", async () => {
  const owner = new Owner();
  const good = instrument("a");
  const wrong = [{ tick: "x" }, { tick: "0" }, { status: "open" }, { symbol: 5 }, { inferred: "no" }];
  owner.list = [null, "text", ...wrong.map((change) => ({ ...good, ...change })), good];
  await owner.head();
  expect(owner.taken).toEqual(["s a 0.1"]);
});
