import { expect, test } from "bun:test";
import { BUS_VERSION, type ShardHeader } from "./bus.ts";
import { HeardShard } from "./heard-shard.ts";

const header = (token: number, epoch: string): ShardHeader => ({ version: BUS_VERSION, shard: "s1", token, epoch });

test("shard table - a token never falls", () => {
  const shard = new HeardShard("s1", 0);
  expect(shard.refusal(header(3, "e1"))).toBeNull();
  expect(shard.refusal(header(2, "e1"))).toBe("refusedTokens");
  expect(shard.refusal(header(2, "e9"))).toBe("refusedTokens");
  expect(shard.refusal(header(3, "e2"))).toBeNull();
  expect(shard.token).toBe(3);
});

test("shard table - an ended epoch is refused until another owner's token", () => {
  const shard = new HeardShard("s1", 0);
  shard.refusal(header(3, "e1"));
  shard.retire("e1");
  shard.retire("");
  expect(shard.refusal(header(3, "e1"))).toBe("oldEpochs");
  expect(shard.refusal(header(3, "e2"))).toBeNull();
  expect(shard.refusal(header(4, "e1"))).toBeNull();
  expect(shard.isRetired("e1")).toBe(false);
});

test("shard table - the last sixteen ended epochs are remembered", () => {
  const shard = new HeardShard("s1", 0);
  for (let i = 0; i < 40; i++) {
    shard.retire(`e${i}`);
    shard.retire(`e${i}`);
  }
  const refused = Array.from({ length: 40 }, (_, i) => shard.isRetired(`e${i}`));
  expect(refused.filter(Boolean)).toHaveLength(16);
  expect(refused.slice(24)).not.toContain(false);
});
