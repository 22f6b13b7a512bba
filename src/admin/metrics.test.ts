import { expect, test } from "bun:test";
import { LATENCY_BUCKETS_US, RUNGS } from "../ring/messages.ts";
import { createMetrics, METRICS } from "./metrics.ts";
import { metricsPage } from "./metrics-page.ts";
import { aBusLink, anEdge, anEngine, aShard, aView, NO_TOTALS } from "./testing/view.ts";
import type { RoutesView } from "./view.ts";

const ROUTES: RoutesView = {
  brokers: [
    { name: "k", type: "kafka", state: { name: "connected" }, missing: [], counts: { stalls: 1 } },
    { name: "n", type: "nats", state: { name: "connecting", attempt: 2, retryAt: 0, error: "refused" }, missing: [] },
  ],
  inputs: [
    { shard: "r/k/t/0", owner: "a", state: "running", reason: "", failures: 2 },
    { shard: "r/k/t/1", owner: "b", state: "elsewhere", reason: "", failures: 0 },
  ],
};

const scrape = async (...change: Parameters<typeof aView>): Promise<string[]> =>
  (await createMetrics(aView(...change)).metrics()).split("\n");

test("metrics - the names operators build on, with their types and labels", () => {
  const found = new Map(METRICS.map(({ name, type, labels }) => [name, `${type} ${labels.join(",")}`.trim()]));
  const promised = {
    tidegate_sessions: "gauge",
    tidegate_publications_total: "counter kind",
    tidegate_delivered_total: "counter",
    tidegate_delivered_bytes_total: "counter",
    tidegate_delivery_latency_seconds: "histogram kind",
    tidegate_ingest_lag_seconds: "gauge source",
    tidegate_source_reconnects_total: "counter source",
    tidegate_rung_sessions: "gauge rung",
    tidegate_conflated_total: "counter kind",
    tidegate_gaps_total: "counter reason",
    tidegate_errors_total: "counter code",
    tidegate_closes_total: "counter code",
    tidegate_limited_total: "counter limit",
    tidegate_slow_total: "counter action",
    tidegate_outbox_bytes: "gauge",
    tidegate_book_resyncs_total: "counter source,cause",
    tidegate_ring_laps_total: "counter",
    tidegate_bus_lag_seconds: "gauge",
    tidegate_loop_lag_seconds: "gauge thread",
  };
  for (const [name, what] of Object.entries(promised)) expect([name, found.get(name)]).toEqual([name, what]);
});

test("metrics - docs/metrics.md is the table (npm run docs writes it)", async () => {
  expect(await Bun.file(new URL("../../docs/metrics.md", import.meta.url)).text()).toBe(metricsPage());
});

test("metrics - every sample has exactly the labels of its metric", async () => {
  const edge = anEdge({
    totals: {
      ...NO_TOTALS,
      errors: { 1203: 1 },
      closes: { 4008: 1 },
      limited: { connectionsPerIp: 1 },
      slow: { down: 1 },
      latency: { depth: { counts: [1], sumUs: 1 } },
    },
  });
  const view = aView({
    shards: () => [
      aShard({
        badRecords: { json: 1 },
        resyncs: { checksum: 1 },
        status: {
          state: { name: "connected" },
          lagMs: 1,
          lagRecords: 2,
          records: 1,
          reconnects: 0,
          counts: { stalls: 1 },
        },
      }),
    ],
    engine: () => anEngine({ publications: { depth: 1 }, conflated: { depth: 1 }, gaps: { source: 1 } }),
    edge: () => edge,
    certificate: () => ({ validTo: new Date(0), renewals: 1, refusals: 0 }),
    routes: () => ROUTES,
    busLink: () => aBusLink({ kind: "nats", counts: { reconnects: 1 }, hopMs: 1 }),
    follower: () => ({ heals: 1 }),
    config: () => ({ store: "file:c.json", version: 2, refused: 1, mistake: "", restart: [] }),
  });
  for (const metric of METRICS) {
    const samples = [...metric.samples(view)];
    expect(samples.length).toBeGreaterThan(0);
    for (const { labels } of samples)
      expect([metric.name, Object.keys(labels)]).toEqual([metric.name, [...metric.labels]]);
  }
});

test("metrics - latency counts become a cumulative histogram in seconds", async () => {
  const counts = [...LATENCY_BUCKETS_US.map((_, at) => (at === 0 ? 3 : at === 2 ? 4 : 0)), 2];
  const totals = { ...NO_TOTALS, latency: { trade: { counts, sumUs: 1_500_000 } } };
  const lines = await scrape({ edge: () => anEdge({ totals }) });
  const name = "tidegate_delivery_latency_seconds";
  expect(lines).toContain(`# TYPE ${name} histogram`);
  const buckets = lines.filter((line) => line.startsWith(`${name}_bucket`));
  expect(buckets).toHaveLength(LATENCY_BUCKETS_US.length + 1);
  expect(buckets.slice(0, 3)).toEqual([
    `${name}_bucket{kind="trade",le="0.0001"} 3`,
    `${name}_bucket{kind="trade",le="0.00025"} 3`,
    `${name}_bucket{kind="trade",le="0.0005"} 7`,
  ]);
  expect(buckets.at(-1)).toBe(`${name}_bucket{kind="trade",le="+Inf"} 9`);
  expect(lines).toContain(`${name}_sum{kind="trade"} 1.5`);
  expect(lines).toContain(`${name}_count{kind="trade"} 9`);
});

test("metrics - shards of one source are added where they count and the worst is taken where they measure", async () => {
  const shard = (records: number, lagMs: number) =>
    aShard({ status: { state: { name: "connected" }, lagMs, records, reconnects: 1 }, resyncs: { checksum: 2 } });
  const lines = await scrape({ shards: () => [shard(5, 10), shard(7, 2500), shard(1, 30)] });
  expect(lines).toContain('tidegate_records_total{source="sim"} 13');
  expect(lines).toContain('tidegate_source_reconnects_total{source="sim"} 3');
  expect(lines).toContain('tidegate_book_resyncs_total{source="sim",cause="checksum"} 6');
  expect(lines).toContain('tidegate_ingest_lag_seconds{source="sim"} 2.5');
});

test("metrics - rungs are labelled by their period, threads by name, and known codes stand at zero", async () => {
  const totals = { ...NO_TOTALS, rungSessions: RUNGS.map((rung) => (rung === 250 ? 6 : 0)) };
  const edge = anEdge({ totals, workers: [{ worker: 1, up: true, restarts: 2, loopLagMs: 40 }] });
  const lines = await scrape({ edge: () => edge, loopLagMs: () => 1500 });
  expect(lines).toContain('tidegate_rung_sessions{rung="250"} 6');
  expect(lines).toContain('tidegate_rung_sessions{rung="0"} 0');
  expect(lines).toContain('tidegate_loop_lag_seconds{thread="main"} 1.5');
  expect(lines).toContain('tidegate_loop_lag_seconds{thread="worker-1"} 0.04');
  expect(lines).toContain("tidegate_worker_restarts_total 2");
  expect(lines).toContain('tidegate_closes_total{code="4008"} 0');
  expect(lines).toContain('tidegate_errors_total{code="1203"} 0');
});

test("metrics - drain and certificate", async () => {
  const validTo = new Date("2026-12-24T00:00:00Z");
  const drain = () => ({ sessions: 1, leftMs: 1 });
  const lines = await scrape({ drain, certificate: () => ({ validTo, renewals: 2, refusals: 1 }) });
  expect(lines).toContain("tidegate_draining 1");
  expect(lines).toContain(`tidegate_certificate_expiry_timestamp_seconds ${validTo.getTime() / 1000}`);
  expect(lines).toContain('tidegate_certificate_reloads_total{result="renewed"} 2');
  expect(lines).toContain('tidegate_certificate_reloads_total{result="refused"} 1');
  const plain = await scrape({});
  expect(plain).toContain("tidegate_draining 0");
  expect(plain.filter((line) => line.startsWith("tidegate_certificate"))).toEqual([]);
});

test("metrics - a node without an edge says nothing about sessions", async () => {
  const lines = await scrape({ edge: () => null, bus: () => [{ shard: "sim", headAgeMs: null, silent: false }] });
  expect(lines.filter((line) => /^tidegate_(sessions|bus_lag_seconds)/.test(line))).toEqual([]);
  expect(lines).toContain('tidegate_info{node="n1",version="0.0.1"} 1');
});

test("metrics - brokers, inputs of routes and lag", async () => {
  const status = { state: { name: "connected" }, lagMs: 1, lagRecords: 7, records: 1, reconnects: 0 } as const;
  const lines = await scrape({ routes: () => ROUTES, shards: () => [aShard({ shard: "r/k/t/0", status })] });
  for (const line of [
    'tidegate_broker_connected{broker="k",type="kafka"} 1',
    'tidegate_broker_connected{broker="n",type="nats"} 0',
    'tidegate_broker_events_total{broker="k",event="stalls"} 1',
    'tidegate_route_shards{state="running"} 1',
    'tidegate_route_shards{state="elsewhere"} 1',
    "tidegate_shard_restarts_total 2",
    'tidegate_source_lag_records{shard="r/k/t/0"} 7',
    'tidegate_checkpoints_total{result="saved"} 3',
  ]) {
    expect(lines).toContain(line);
  }
});
