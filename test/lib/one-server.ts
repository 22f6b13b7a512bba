/**
 * One server that is broker and checkpoint store at once, a node that reads from it, and what such a node must get through:
 * a way to the broker that is slow, torn and reset; the server's death; its own end, after which another node goes on.
 *
 * Used by test/e2e/redis.test.ts and jetstream.test.ts: what a broker keeps is at the client once and in order, whatever
 * happens; what it does not keep (`live`) is there or told.
 */
import { expect } from "bun:test";
import { CuttingProxy } from "./cutting-proxy.ts";
import type { NativeStream } from "./native-stream.ts";
import { type RoutedNode, startRoutedNode, tradeOf } from "./routed-node.ts";
import type { RealServer } from "./services/server.ts";
import { untilWorks, waitFor } from "./wait.ts";

const TRADE = "btcusdt@trade";

export interface OneServer {
  readonly server: RealServer & { readonly url: string };
  /** The configuration of a node that reads BTC/USDT's trades from the server at `url`. */
  document(url: string): unknown;
  /** Writes trades, each of them acknowledged. */
  write(trades: readonly string[]): Promise<void>;
  /** Rejects while the server is away. */
  ask(): Promise<unknown>;
  /** Label of the shard that reads the trades. */
  readonly shard: string;
  /** A channel of trades whose source keeps nothing. */
  readonly live?: { readonly channel: string; say(id: number): Promise<void> };
}

const idsOf = (from: number, to: number): string[] => Array.from({ length: to - from + 1 }, (_, at) => `${from + at}`);

const write = (one: OneServer, from: number, to: number): Promise<void> =>
  one.write(idsOf(from, to).map((id) => JSON.stringify(tradeOf("BTC/USDT", Number(id)))));

/** `url`: where the broker is; its checkpoints it writes to the server itself. */
const start = (one: OneServer, nodeId: string, url = one.server.url): Promise<RoutedNode> =>
  startRoutedNode(one.document(url), { nodeId, checkpoints: one.server.url }, {});

/** Clients of `node` that read the trades, and the live ones if there are any. */
async function streamsOf(one: OneServer, node: RoutedNode) {
  const client = await node.native();
  const channels = one.live === undefined ? [TRADE] : [TRADE, one.live.channel];
  expect((await client.subscribe(channels)).errors).toBeUndefined();
  return { stored: client.stream(TRADE), live: one.live === undefined ? null : client.stream(one.live.channel) };
}

const lastOf = (stream: NativeStream): number => Number(stream.items.at(-1)?.id ?? 0);

const untilLast = (stream: NativeStream, id: number): Promise<void> =>
  waitFor(
    () => lastOf(stream) === id,
    () => `${id} is the last of ${stream.asked}, not ${lastOf(stream)}`,
  );

/** Jumps in the ids that no gap stands in front of. */
function silentJumps(stream: NativeStream): string[] {
  const jumps: string[] = [];
  let last: number | null = null;
  let isTold = false;
  for (const push of stream.pushes) {
    if (push.type === "gap") isTold = true;
    for (const { id } of push.type === "items" ? (push.data as { id: string }[]) : []) {
      if (last !== null && Number(id) !== last + 1 && !isTold) jumps.push(`${last} -> ${id}`);
      [last, isTold] = [Number(id), false];
    }
  }
  return jumps;
}

/** The server is killed under a node and started again; then another node goes on where that one stopped. */
export async function throughDeathAndTakeOver(one: OneServer): Promise<void> {
  const trades = (from: number, to: number): Promise<void> => write(one, from, to);
  await trades(1, 10);
  let position = { epoch: "", seq: 0 };
  {
    await using node = await start(one, "a");
    const becomes = async (isWell: boolean): Promise<void> => {
      for (const part of ["checkpoints", "brokers"]) {
        const is = async (): Promise<boolean> => ((await node.readiness()).parts[part]?.state === "ok") === isWell;
        await waitFor(is, `${part} are ${isWell ? "well again" : "told to be away"}`);
      }
    };
    const { stored, live } = await streamsOf(one, node);
    await trades(11, 15);
    await one.live?.say(1);
    await untilLast(stored, 15);
    if (live !== null) await untilLast(live, 1);
    await one.server.kill();
    await becomes(false);
    await one.server.restart();
    await untilWorks(() => one.ask());
    await trades(16, 20);
    await untilLast(stored, 20);
    await becomes(true);
    expect(stored.items.slice(-10).map(({ id }) => id)).toEqual(idsOf(11, 20));
    expect([stored.faults, stored.notices]).toEqual([[], []]);
    if (live !== null) {
      await one.live?.say(9);
      await untilLast(live, 9);
      expect(live.faults).toEqual([]);
      expect(live.notices.map(({ type }) => type)).toEqual(["gap"]);
    }
    position = { epoch: stored.epoch ?? "", seq: stored.have ?? 0 };
  }
  await trades(21, 30);
  await using node = await start(one, "b");
  const client = await node.native();
  const reply = await client.subscribe([TRADE], { since: { [TRADE]: position } });
  expect(reply.channels[TRADE]).toMatchObject({ epoch: position.epoch, recovered: true });
  const stream = client.stream(TRADE);
  await untilLast(stream, 30);
  expect(stream.items.map(({ id }) => id)).toEqual(idsOf(21, 30));
  expect(stream.have).toBe(position.seq + 10);
  expect([stream.faults, stream.notices]).toEqual([[], []]);
  expect(await node.metric("tidegate_source_lag_records", `shard="${one.shard}"`)).toBe(0);
}

/** Ids of the trades in bad weather begin behind those of the other test. */
const WEATHER_FROM = 1000;

/** Faults of the way between the node and its broker alone. */
export async function throughBadWeather(one: OneServer): Promise<void> {
  using proxy = await CuttingProxy.start({ port: one.server.port, seed: 1 });
  await using node = await start(one, "weather", one.server.url.replace(`${one.server.port}`, `${proxy.port}`));
  const { stored, live } = await streamsOf(one, node);
  let [written, said] = [WEATHER_FROM, WEATHER_FROM];
  let faults = 0;
  /** Live trades come until then. */
  const talks = (isSo: () => boolean, what: () => string): Promise<void> =>
    waitFor(async () => {
      await one.live?.say(++said);
      return isSo();
    }, what);
  /** So many trades get through, live ones all the while; each fault is told among these, and they go on. */
  const flows = async (count: number): Promise<void> => {
    const writing = write(one, written + 1, written + count);
    written += count;
    await talks(
      () => lastOf(stored) === written && (live?.notices.length ?? faults) === faults,
      () => `trade ${written}, not ${lastOf(stored)}; ${faults} gaps: ${JSON.stringify(live?.notices)}`,
    );
    await writing;
    const begun = said;
    if (live !== null)
      await talks(
        () => lastOf(live) > begun,
        () => `a live trade behind ${begun}`,
      );
  };
  await flows(50);
  proxy.change({ delayMs: [20, 40], bytesPerSecond: 400_000 });
  await flows(200);
  expect([stored.notices, live?.notices ?? []]).toEqual([[], []]);
  expect(await node.metric("tidegate_source_reconnects_total")).toBe(0);
  const carriers = live === null ? 1 : 2;
  for (const how of ["end", "reset"] as const) {
    const { torn } = proxy;
    // A machine that stands still for longer than a tear waits ends a connection between two answers.
    while (proxy.torn < torn + carriers) {
      proxy.tear(how);
      faults++;
      await flows(200);
    }
  }
  expect(stored.items.map(({ id }) => id)).toEqual(idsOf(WEATHER_FROM + 1, written));
  expect([stored.faults, stored.notices]).toEqual([[], []]);
  expect(await node.metric("tidegate_source_reconnects_total")).toBeGreaterThanOrEqual(faults);
  if (live === null) return;
  expect([silentJumps(live), live.faults]).toEqual([[], []]);
  expect(live.notices.map(({ type, reason }) => [type, reason])).toEqual(Array(faults).fill(["gap", "source"]));
  expect(await node.metric("tidegate_gaps_total", `reason="source"`)).toBe(faults);
}
