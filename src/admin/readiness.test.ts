import { expect, test } from "bun:test";
import type { SourceState } from "../ingest/source.ts";
import { readiness } from "./readiness.ts";
import { aBusLink, anEdge, anEngine, aShard, aView } from "./testing/view.ts";
import type { WorkerView } from "./view.ts";

const withSource = (state: SourceState, records: number) =>
  readiness(aView({ shards: () => [aShard({ status: { state, lagMs: null, records, reconnects: 0 } })] }));

const withWorkers = (...up: boolean[]) => {
  const workers: WorkerView[] = up.map((is, worker) => ({ worker, up: is, restarts: 0, loopLagMs: 0 }));
  return readiness(aView({ edge: () => anEdge({ workers }) }));
};

test("readiness - a node where all is well is ready, and every part says ok", () => {
  const { ready, parts } = readiness(aView());
  expect(ready).toBe(true);
  expect(Object.entries(parts).map(([name, { state }]) => `${name} ${state}`)).toEqual([
    "sources ok",
    "books ok",
    "bus ok",
    "checkpoints ok",
    "loop ok",
    "edge ok",
  ]);
});

test("readiness - a source that was never there is down, one that was lost is degraded, one that ended is well", () => {
  const connecting: SourceState = { name: "connecting", attempt: 3, retryAt: 0, error: "refused" };
  expect(withSource(connecting, 0)).toMatchObject({ ready: false, parts: { sources: { state: "down" } } });
  expect(withSource(connecting, 5)).toMatchObject({ ready: true, parts: { sources: { state: "degraded" } } });
  expect(withSource(connecting, 5).parts.sources?.reason).toBe("sim connecting, attempt 3: refused");
  expect(withSource({ name: "idle" }, 0).ready).toBe(false);
  expect(withSource({ name: "ended" }, 5).parts.sources?.state).toBe("ok");
  expect(withSource({ name: "failed", reason: "bad file" }, 5)).toMatchObject({
    ready: false,
    parts: { sources: { reason: "sim failed: bad file" } },
  });
});

test("readiness - stale books are told with their channels, and the node goes on", () => {
  const stale = [{ channel: "btcusdt@depth", reason: "checksum" }];
  const state = readiness(
    aView({
      engine: () => anEngine({ stale }),
      shards: () => [
        aShard({ staleBooks: 1, resyncs: { checksum: 2 } }),
        aShard({ resyncs: { checksum: 1, crossed: 4 } }),
      ],
    }),
  );
  expect(state).toMatchObject({
    ready: true,
    parts: { books: { state: "degraded", stale: 1, channels: stale, known: 20, resyncs: { checksum: 3, crossed: 4 } } },
  });
});

test("readiness - what is stale and no book is not told as one; nor a book that nobody has fed yet", () => {
  const booksOf = (channel: string, reason: string, bus = aView().bus()) =>
    readiness(aView({ engine: () => anEngine({ stale: [{ channel, reason }] }), bus: () => bus })).parts.books;
  const none = { state: "ok", reason: "", stale: 0, channels: [] };
  expect(booksOf("btcusdt@trade", "no-head")).toMatchObject(none);
  expect(booksOf("btcusdt@depth5", "checksum")).toMatchObject(none);
  expect(booksOf("btcusdt@depth", "no-head", [])).toMatchObject(none);
  expect(booksOf("btcusdt@depth", "no-head")).toMatchObject({ state: "degraded", reason: "1 stale", stale: 1 });
  expect(booksOf("usdm:btcusdt@depth", "checksum", [])).toMatchObject({ reason: "1 stale" });
});

test("readiness - times are whole milliseconds", () => {
  const { parts } = readiness(
    aView({
      bus: () => [{ shard: "sim", headAgeMs: 160.6976679999998, silent: false }],
      shards: () => [
        aShard({ status: { state: { name: "connected" }, lagMs: 1.25, records: 1, reconnects: 0 } }),
        aShard({ status: { state: { name: "connected" }, lagMs: null, records: 1, reconnects: 0 } }),
      ],
      edge: () => anEdge({ workers: [{ worker: 0, up: true, restarts: 0, loopLagMs: 0.7 }] }),
      loopLagMs: () => 3.2,
    }),
  );
  expect(parts).toMatchObject({
    bus: { shards: [{ headAgeMs: 161 }] },
    sources: { shards: [{ lagMs: 1 }, { lagMs: null }] },
    edge: { workers: [{ loopLagMs: 1 }] },
    loop: { lagMs: 3 },
  });
});

test("readiness - bad records are shown with their source", () => {
  const state = readiness(aView({ shards: () => [aShard({ badRecords: { json: 7 } })] }));
  expect(state.parts.sources).toMatchObject({ shards: [{ shard: "sim", badRecords: { json: 7 } }] });
});

test("readiness - some workers down is degraded, none up is down", () => {
  expect(withWorkers(true, false)).toMatchObject({ ready: true, parts: { edge: { state: "degraded" } } });
  expect(withWorkers(false, false)).toMatchObject({ ready: false, parts: { edge: { state: "down" } } });
  expect(withWorkers()).toMatchObject({ ready: false, parts: { edge: { state: "down" } } });
});

test("readiness - a main loop that lags over a second is not ready", () => {
  expect(readiness(aView({ loopLagMs: () => 1000 })).ready).toBe(true);
  expect(readiness(aView({ loopLagMs: () => 1001 })).ready).toBe(false);
});

test("readiness - a silent shard on the bus is degraded, a draining node is not ready", () => {
  const bus = () => [{ shard: "k1", headAgeMs: 2500, silent: true }];
  expect(readiness(aView({ bus }))).toMatchObject({ ready: true, parts: { bus: { reason: "no HEAD of k1" } } });
  expect(readiness(aView({ drain: () => ({ sessions: 7, leftMs: 2500 }) }))).toMatchObject({
    ready: false,
    parts: { drain: { state: "down", reason: "the node is draining: 7 sessions left", sessions: 7, leftMs: 2500 } },
  });
});

test("readiness - a node without an edge is judged without one", () => {
  const { ready, parts } = readiness(aView({ edge: () => null }));
  expect([ready, "edge" in parts]).toEqual([true, false]);
});

test("readiness - a broker or a bus that is away, a shard that waits, a store without an answer: told, and the node goes on", () => {
  const connecting: SourceState = { name: "connecting", attempt: 3, retryAt: 0, error: "refused" };
  const status = { state: connecting, lagMs: null, records: 0, reconnects: 0 };
  const { ready, parts } = readiness(
    aView({
      shards: () => [
        aShard({ shard: "r/k/t/0", routed: true, status, checkpoints: { saved: 0, errors: 2, error: "no answer" } }),
      ],
      busLink: () => aBusLink({ kind: "nats", connected: false, reason: "refused" }),
      routes: () => ({
        brokers: [
          {
            name: "k",
            type: "kafka",
            state: { name: "connecting", attempt: 4, retryAt: 0, error: "refused" },
            missing: [],
          },
          {
            name: "n",
            type: "nats",
            state: { name: "connected" },
            missing: [{ topic: "t", reason: "does not exist" }],
          },
        ],
        inputs: [
          { shard: "r/k/t/0", owner: "a", state: "waiting", reason: "store away", failures: 1 },
          { shard: "r/k/t/1", owner: "b", state: "elsewhere", reason: "", failures: 0 },
        ],
      }),
      config: () => ({
        store: "file:c.json",
        version: 1,
        refused: 1,
        mistake: "routes[0].id: is missing",
        restart: ["routes"],
      }),
    }),
  );
  expect(ready).toBe(true);
  const reasons = Object.fromEntries(
    Object.entries(parts).map(([name, { state, reason }]) => [name, `${state}: ${reason}`]),
  );
  expect(reasons).toMatchObject({
    sources: "degraded: r/k/t/0 connecting, attempt 3: refused",
    bus: "degraded: not connected: refused",
    checkpoints: "degraded: r/k/t/0: no answer",
    brokers: "degraded: k connecting, attempt 4: refused; n has no t: does not exist",
    routes: "degraded: r/k/t/0 waiting: store away",
    config: "degraded: what stands there now is refused: routes[0].id: is missing; changes that need a restart: routes",
  });
  expect(parts.routes?.counts).toEqual({ waiting: 1, elsewhere: 1 });
});
