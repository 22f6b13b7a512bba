/** Source redis-stream against a real Redis: streams that change under it, and what it writes back. */
import { expect, test } from "bun:test";
import type { SourceRecord } from "../../src/ingest/source.ts";
import { redisOfFile } from "../lib/driven-redis.ts";
import { waitFor } from "../lib/wait.ts";
import { keysRig, redisRig } from "./redis-rig.ts";

const redis = redisOfFile();

test.concurrent("redis-stream - the value is the only field, or data, or the named one, else the whole entry as JSON", async () => {
  await using rig = keysRig(redis.server.url, ["fields"]);
  await redis.driver.call("XADD", "fields", "*", "anything", "only");
  await redis.driver.call("XADD", "fields", "*", "data", "of two", "more", "x");
  await redis.driver.call("XADD", "fields", "1900000000000-7", "price", "0.10", "side", "buy");
  const run = await rig.run("fields");
  await run.reached(3);
  expect(run.said()).toEqual(["only", "of two", '{"price":"0.10","side":"buy"}']);
  expect(run.records[2]).toMatchObject({ value: { topic: "fields", key: null, time: 1_900_000_000_000 } });
  await using named = keysRig(redis.server.url, ["fields"], { field: "more" });
  const other = await named.run("fields");
  await other.reached(3);
  expect(other.said()).toEqual(['{"anything":"only"}', "x", '{"price":"0.10","side":"buy"}']);
});

test.concurrent("redis-stream - a key that does not exist yet is told, and read from its first entry on", async () => {
  await using rig = keysRig(redis.server.url, ["later"]);
  const run = await rig.run("later");
  await waitFor(() => rig.broker.status().missing.length === 1, "the missing key is told");
  expect(rig.broker.status()).toMatchObject({ state: { name: "connected" }, missing: [{ topic: "later" }] });
  await redis.driver.add("later", ["1", "2"]);
  await run.reached(2);
  expect(run.said()).toEqual(["1", "2"]);
  await waitFor(() => rig.broker.status().missing.length === 0, "it is missing no more");
});

test.concurrent("redis-stream - a key of another type harms no other, and is read once it is a stream", async () => {
  await redis.driver.call("SET", "mixed", "text");
  await redis.driver.add("healthy", ["1"]);
  await using rig = keysRig(redis.server.url, ["mixed", "healthy"]);
  const [mixed, healthy] = [await rig.run("mixed"), await rig.run("healthy")];
  await healthy.reached(1);
  await waitFor(() => rig.broker.status().missing.length === 1, "the other type is told");
  expect(rig.broker.status().missing[0]?.reason).toContain("wrong kind of value");
  expect(mixed.source.status().state).toMatchObject({ name: "connecting", error: expect.stringContaining("mixed") });
  // A stream that turns into something else while it is read.
  await redis.driver.call("SET", "healthy", "text");
  await waitFor(() => rig.broker.status().missing.length === 2, "both are told");
  await redis.driver.call("DEL", "mixed", "healthy");
  await redis.driver.add("mixed", ["2"]);
  await mixed.reached(1);
  expect(mixed.said()).toEqual(["2"]);
  await redis.driver.add("healthy", ["3"]);
  await healthy.reached(3);
  expect(healthy.said()).toEqual(["1", "epoch", "3"]);
});

test.concurrent("redis-stream - deleted while it is read, or flushed while it is not: a new epoch, from the start of the new key", async () => {
  await redis.driver.add("gone", ["1", "2"]);
  await using rig = keysRig(redis.server.url, ["gone"]);
  const run = await rig.run("gone");
  await run.reached(2);
  await redis.driver.call("DEL", "gone");
  await run.reached(3);
  await redis.driver.add("gone", ["3"]);
  await run.reached(4);
  expect(run.said()).toEqual(["1", "2", "epoch", "3"]);
  expect(run.records.map(({ offset }) => offset)).toEqual([0, 1, 2, 0]);
  await run.stop();
  await redis.driver.call("DEL", "gone");
  // Higher ids than before: only the count of entries tells that it is another stream.
  await redis.driver.call("XADD", "gone", "9900000000000-1", "data", "4");
  const again = await rig.run("gone", run.records.at(-1));
  await again.reached(2);
  expect(again.said()).toEqual(["epoch", "4"]);
  expect(again.records.map(({ offset }) => offset)).toEqual([1, 0]);
  expect(again.source.status().counts).toMatchObject({ "entries taken back": 1 });
});

test.concurrent("redis-stream - trimmed while it was away: whole if nothing is missing, else an epoch and what is left", async () => {
  await redis.driver.add("trimmed", ["1", "2", "3", "4", "5", "6"]);
  await using rig = keysRig(redis.server.url, ["trimmed"]);
  const first = await rig.run("trimmed");
  await first.reached(6);
  const behind = (record: SourceRecord | undefined): Promise<readonly string[]> => {
    return (async () => {
      const run = await rig.run("trimmed", record);
      await waitFor(
        () => run.said().at(-1) === "6",
        () => `the last entry, so far ${run.said()}`,
      );
      await run.stop();
      return run.said();
    })();
  };
  await redis.driver.call("XTRIM", "trimmed", "MAXLEN", 2);
  expect(await behind(first.records[3])).toEqual(["5", "6"]);
  expect(await behind(first.records[2])).toEqual(["epoch", "5", "6"]);
  expect(rig.log.lines.filter(({ message }) => message.includes("trimmed"))).toHaveLength(1);
});

test.concurrent("redis-stream - what XDEL takes out is simply not there", async () => {
  await redis.driver.add("deleted", ["1", "2", "3"]);
  await using rig = keysRig(redis.server.url, ["deleted"]);
  const first = await rig.run("deleted");
  await first.reached(3);
  await first.stop();
  const [, second] = first.records;
  await redis.driver.call("XDEL", "deleted", second!.position!.split("#")[0]!);
  const again = await rig.run("deleted", first.records[0]);
  await again.reached(1);
  await redis.driver.add("deleted", ["4"]);
  await again.reached(2);
  expect(again.said()).toEqual(["3", "4"]);
  expect(again.source.status()).toMatchObject({ lagRecords: 0, lagMs: 0, counts: { "trimmed unread": 0 } });
});

test.concurrent("redis-stream - start latest: what is added from now on, also while the node is away", async () => {
  await redis.driver.add("latest", ["old"]);
  await using rig = keysRig(redis.server.url, ["latest"], { start: "latest" });
  const run = await rig.run("latest");
  await run.reached(1);
  await run.stop();
  await redis.driver.add("latest", ["meanwhile"]);
  // A checkpoint behind an epoch record has its position, and no offset.
  const { position } = run.records[0]!;
  const source = rig.inputs()[0]!.open();
  const abort = new AbortController();
  const records: SourceRecord[] = [];
  const running = source.run(
    { accept: (one) => void records.push(one), busy: () => null },
    null,
    abort.signal,
    position,
  );
  await waitFor(() => records.length === 1, "the entry added meanwhile");
  abort.abort();
  await running;
  expect(run.said()).toEqual(["epoch"]);
  expect(records[0]).toMatchObject({ type: "data", offset: 0 });
});

test.concurrent("redis-stream - a place that is none begins a new epoch, told", async () => {
  await redis.driver.add("placeless", ["1"]);
  await using rig = keysRig(redis.server.url, ["placeless"]);
  const run = await rig.run("placeless", { type: "clock", time: 0, offset: 41, receivedUs: 0, position: "nonsense" });
  await run.reached(2);
  expect(run.said()).toEqual(["epoch", "1"]);
  expect(run.records.map(({ offset }) => offset)).toEqual([42, 0]);
  expect(run.source.status().counts).toMatchObject({ "unknown places": 1 });
});

test.concurrent("redis-stream - instruments that come later bring their keys; those that stay keep their input", async () => {
  const symbols = ["btcusdt"];
  await using rig = redisRig(
    { url: redis.server.url },
    {
      text: "md:trade:{symbol}",
      symbolOf: (topic) => topic.split(":")[2] ?? null,
      topics: () => symbols.map((symbol) => `md:trade:${symbol}`),
    },
  );
  await waitFor(() => rig.inputs().length === 1, "the first input");
  const [first] = rig.inputs();
  expect(first).toMatchObject({ id: "md:trade:btcusdt", topic: "md:trade:btcusdt" });
  symbols.push("ethusdt");
  await waitFor(() => rig.inputs().length === 2, "the second input");
  expect(rig.inputs()[0]).toBe(first!);
});

test.concurrent("redis-stream - two owners of one key each read it whole", async () => {
  await redis.driver.add("shared", ["1", "2", "3"]);
  await using rig = keysRig(redis.server.url, ["shared"]);
  const [a, b] = [await rig.run("shared"), await rig.run("shared")];
  await Promise.all([a.reached(3), b.reached(3)]);
  await a.stop();
  await redis.driver.add("shared", ["4"]);
  await b.reached(4);
  expect([a.said(), b.said()]).toEqual([
    ["1", "2", "3"],
    ["1", "2", "3", "4"],
  ]);
});

test.concurrent("redis-stream - a group shows operators what is in a checkpoint", async () => {
  await redis.driver.add("marked", ["1", "2", "3"]);
  await using rig = keysRig(redis.server.url, ["marked"], { group: "tidegate" });
  const run = await rig.run("marked");
  await run.reached(3);
  const groupOf = async (): Promise<Map<string, unknown>> => {
    const [group = []] = (await redis.driver.call("XINFO", "GROUPS", "marked")) as unknown[][];
    return new Map(group.flatMap((name, at) => (at % 2 === 0 ? [[String(name), group[at + 1]] as const] : [])));
  };
  for (const at of [1, 2]) {
    const { offset, position } = run.records[at]!;
    run.source.commit?.(offset, position ?? null);
    await waitFor(async () => (await groupOf()).get("lag") === 2 - at, `the group's lag is ${2 - at}`);
    expect((await groupOf()).get("last-delivered-id")).toBe(position!.split("#")[0]);
  }
});

test.concurrent("redis-stream - dead letters have the record's bytes and the reason", async () => {
  await redis.driver.add("poisoned", ["{"]);
  await using rig = keysRig(redis.server.url, ["poisoned"], { dead_letter_key: "dead" });
  const run = await rig.run("poisoned");
  await run.reached(1);
  const [record] = run.records;
  run.source.deadLetter?.(record!.type === "data" ? record!.value : null, "no JSON");
  await waitFor(async () => (await redis.driver.call("XLEN", "dead")) === 1, "the letter");
  const [[, fields]] = (await redis.driver.call("XRANGE", "dead", "-", "+")) as [[string, string[]]];
  expect(fields).toEqual(["key", "poisoned", "reason", "no JSON", "value", "{"]);
});
