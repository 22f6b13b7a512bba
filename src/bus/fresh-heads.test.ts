import { expect, test } from "bun:test";
import { GatewayError } from "../lib/errors.ts";
import { createFakeClock } from "../lib/fake-clock.ts";
import { BUS_VERSION, type Head } from "./bus.ts";
import { FreshHeads } from "./fresh-heads.ts";

const headAt = (offset: number): Head => ({
  ...{ version: BUS_VERSION, shard: "s", token: 1, epoch: "e", offset, source: "connected", provides: [] },
  ...{ full: true, last: [] },
});

function rig() {
  const clock = createFakeClock();
  const asked: PromiseWithResolvers<Head>[] = [];
  const headOf = () => {
    const answer = Promise.withResolvers<Head>();
    asked.push(answer);
    return answer.promise;
  };
  return { clock, asked, heads: new FreshHeads({ headOf }, clock, 300) };
}

test("fresh heads - who calls before the question is sent shares it, who calls later gets one of his own", async () => {
  const { asked, heads } = rig();
  const early = [heads.of("s", 300), heads.of("s", 300)];
  await null;
  expect(asked).toHaveLength(1);
  const late = [heads.of("s", 300), heads.of("s", 300)];
  await null;
  expect(asked).toHaveLength(1);
  asked[0]?.resolve(headAt(1));
  expect((await Promise.all(early)).map((head) => head?.offset)).toEqual([1, 1]);
  expect(asked).toHaveLength(2);
  asked[1]?.resolve(headAt(2));
  expect((await Promise.all(late)).map((head) => head?.offset)).toEqual([2, 2]);
  const again = heads.of("s", 300);
  await null;
  expect(asked).toHaveLength(3);
  asked[2]?.resolve(headAt(3));
  expect((await again)?.offset).toBe(3);
  expect(heads.counters).toEqual({ asked: 3, failed: 0 });
});

test("fresh heads - shards do not wait for each other; without an answer a call ends within its time", async () => {
  const { clock, asked, heads } = rig();
  const slow = heads.of("s", 100);
  const other = heads.of("t", 300);
  await null;
  expect(asked).toHaveLength(2);
  clock.advance(101);
  expect(await slow).toBeNull();
  asked[1]?.reject(new GatewayError("BUS_NO_ANSWER", "nobody"));
  expect(await other).toBeNull();
  expect(heads.counters).toEqual({ asked: 2, failed: 1 });
});
