/**
 * The metrics: one table of names, and the registry that answers /metrics from it.
 *
 * Beside the path: everything is pulled from the node's snapshots when a scrape asks; nothing is counted here.
 * Invariants: a name, its type and its labels never change silently (docs/metrics.md is this table, and a test compares);
 * two samples with equal labels are added (counters) or the greater one is taken (gauges).
 */
import { Registry } from "prom-client";
import type { BrokerStatus } from "../ingest/broker.ts";
import { CLOSES, ERRORS } from "../protocol/codes.ts";
import { LATENCY_BUCKETS_US, RUNGS } from "../ring/messages.ts";
import type { CertificateView, ConfigView, EdgeView, NodeView, ShardView } from "./view.ts";

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface HistogramSample {
  readonly labels: Readonly<Record<string, string>>;
  /** One per bound, and one more for the rest. */
  readonly counts: readonly number[];
  readonly sum: number;
}

interface Naming {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
}

export type Metric =
  | (Naming & { readonly type: "counter" | "gauge"; samples(view: NodeView): Iterable<Sample> })
  | (Naming & {
      readonly type: "histogram";
      readonly bounds: readonly number[];
      samples(view: NodeView): Iterable<HistogramSample>;
    });

const one = (value: number): Sample[] => [{ labels: {}, value }];
const by = (label: string, counts: Readonly<Record<string, number>>): Sample[] =>
  Object.entries(counts).map(([key, value]) => ({ labels: { [label]: key }, value }));
const ofEdge = (view: NodeView, take: (totals: EdgeView["totals"]) => Sample[]): Sample[] => {
  const edge = view.edge();
  return edge === null ? [] : take(edge.totals);
};
const ofCertificate = (view: NodeView, take: (certificate: CertificateView) => Sample[]): Sample[] => {
  const certificate = view.certificate();
  return certificate === null ? [] : take(certificate);
};
const ofShards = (view: NodeView, take: (shard: ShardView) => Sample[]): Sample[] => view.shards().flatMap(take);
const ofBrokers = (view: NodeView, take: (broker: BrokerStatus) => Sample[]): Sample[] =>
  (view.routes()?.brokers ?? []).flatMap(take);
const ofConfig = (view: NodeView, take: (config: ConfigView) => Sample[]): Sample[] => {
  const config = view.config();
  return config === null ? [] : take(config);
};
const causes = (source: string, counts: Readonly<Record<string, number>>): Sample[] =>
  Object.entries(counts).map(([cause, value]) => ({ labels: { source, cause }, value }));
/** Known codes stand at zero from the start, so that a rate over the first one is right. */
const codes = (table: Readonly<Record<string, { readonly code: number }>>): Record<string, number> =>
  Object.fromEntries(Object.values(table).map(({ code }) => [String(code), 0]));

const kept =
  (type: "counter" | "gauge") =>
  (name: string, help: string, labels: readonly string[], samples: (view: NodeView) => Sample[]): Metric => ({
    name,
    help,
    labels,
    type,
    samples,
  });
const counter = kept("counter");
const gauge = kept("gauge");

export const METRICS: readonly Metric[] = [
  gauge("tidegate_sessions", "WebSocket sessions that are open.", [], (view) =>
    ofEdge(view, (totals) => one(totals.sessions)),
  ),
  gauge("tidegate_subscriptions", "Subscriptions of all sessions.", [], (view) =>
    ofEdge(view, (totals) => one(totals.subscriptions)),
  ),
  counter(
    "tidegate_publications_total",
    "Publications the engine took from the bus, by kind of channel.",
    ["kind"],
    (view) => by("kind", view.engine().publications),
  ),
  counter("tidegate_delivered_total", "Frames given to sockets.", [], (view) =>
    ofEdge(view, (totals) => one(totals.delivered)),
  ),
  counter("tidegate_delivered_bytes_total", "Bytes of frames given to sockets.", [], (view) =>
    ofEdge(view, (totals) => one(totals.deliveredBytes)),
  ),
  {
    name: "tidegate_delivery_latency_seconds",
    help: "From a record's receipt at its source to the end of the socket write, by kind of channel.",
    labels: ["kind"],
    type: "histogram",
    bounds: LATENCY_BUCKETS_US.map((us) => us / 1e6),
    samples: (view) =>
      Object.entries(view.edge()?.totals.latency ?? {}).map(([kind, { counts, sumUs }]) => ({
        labels: { kind },
        counts,
        sum: sumUs / 1e6,
      })),
  },
  gauge(
    "tidegate_ingest_lag_seconds",
    "Now minus the time of the newest record; of a source that knows its end, 0 once it is reached.",
    ["source"],
    (view) =>
      ofShards(view, ({ source, status }) =>
        status.lagMs === null ? [] : [{ labels: { source }, value: status.lagMs / 1000 }],
      ),
  ),
  counter("tidegate_records_total", "Records read from the source.", ["source"], (view) =>
    ofShards(view, ({ source, status }) => [{ labels: { source }, value: status.records }]),
  ),
  counter("tidegate_bad_records_total", "Records that were skipped, by cause.", ["source", "cause"], (view) =>
    ofShards(view, ({ source, badRecords }) => causes(source, badRecords)),
  ),
  counter(
    "tidegate_source_reconnects_total",
    "Connections to the source that had to be made again.",
    ["source"],
    (view) => ofShards(view, ({ source, status }) => [{ labels: { source }, value: status.reconnects }]),
  ),
  gauge(
    "tidegate_rung_sessions",
    "Subscriptions on each cadence, by its period in ms (0 is real time).",
    ["rung"],
    (view) =>
      ofEdge(view, (totals) =>
        RUNGS.map((rung, at) => ({ labels: { rung: `${rung}` }, value: totals.rungSessions[at] ?? 0 })),
      ),
  ),
  counter("tidegate_conflated_total", "Publications merged into a later one, by kind of channel.", ["kind"], (view) =>
    by("kind", view.engine().conflated),
  ),
  counter("tidegate_gaps_total", "Gaps told to subscribers, by reason.", ["reason"], (view) =>
    by("reason", view.engine().gaps),
  ),
  counter("tidegate_errors_total", "Error replies, by code (docs/protocol.md).", ["code"], (view) =>
    ofEdge(view, (totals) => by("code", { ...codes(ERRORS), ...totals.errors })),
  ),
  counter("tidegate_closes_total", "Sessions that were closed, by code (docs/protocol.md).", ["code"], (view) =>
    ofEdge(view, (totals) => by("code", { ...codes(CLOSES), ...totals.closes })),
  ),
  counter("tidegate_limited_total", "Connections and commands that a limit refused, by limit.", ["limit"], (view) =>
    ofEdge(view, (totals) => by("limit", totals.limited)),
  ),
  counter("tidegate_slow_total", "What was done about slow sessions, by action.", ["action"], (view) =>
    ofEdge(view, (totals) => by("action", totals.slow)),
  ),
  gauge("tidegate_outbox_bytes", "Bytes that wait for slow sockets.", [], (view) =>
    ofEdge(view, (totals) => one(totals.outboxBytes)),
  ),
  gauge(
    "tidegate_outbox_age_seconds",
    "Age of the oldest byte that waited for the socket of an open session, the most in the last second.",
    [],
    (view) => ofEdge(view, (totals) => one(totals.outboxAgeMs / 1000)),
  ),
  counter(
    "tidegate_book_resyncs_total",
    "Books that turned stale at their source and were fetched again, by cause.",
    ["source", "cause"],
    (view) => ofShards(view, ({ source, resyncs }) => causes(source, resyncs)),
  ),
  gauge(
    "tidegate_source_lag_records",
    "Records between the last one taken and the end of the shard's input, where the source knows.",
    ["shard"],
    (view) =>
      ofShards(view, ({ shard, status: { lagRecords } }) =>
        lagRecords === undefined || lagRecords === null ? [] : [{ labels: { shard }, value: lagRecords }],
      ),
  ),
  counter(
    "tidegate_source_events_total",
    "What sources count by words of their own (docs/sources.md).",
    ["source", "event"],
    (view) =>
      ofShards(view, ({ source, status: { counts = {} } }) =>
        Object.entries(counts).map(([event, value]) => ({ labels: { source, event }, value })),
      ),
  ),
  gauge(
    "tidegate_broker_connected",
    "1 while the data source's servers can be reached, else 0.",
    ["broker", "type"],
    (view) =>
      ofBrokers(view, ({ name, type, state }) => [
        { labels: { broker: name, type }, value: state.name === "connected" ? 1 : 0 },
      ]),
  ),
  gauge(
    "tidegate_broker_missing_topics",
    "Source topics of mappings that do not exist or may not be read.",
    ["broker"],
    (view) => ofBrokers(view, ({ name, missing }) => [{ labels: { broker: name }, value: missing.length }]),
  ),
  counter(
    "tidegate_broker_events_total",
    "What data sources count by words of their own (docs/sources.md).",
    ["broker", "event"],
    (view) =>
      ofBrokers(view, ({ name, counts = {} }) =>
        Object.entries(counts).map(([event, value]) => ({ labels: { broker: name, event }, value })),
      ),
  ),
  gauge(
    "tidegate_route_shards",
    "Inputs of routes by state: running, starting, waiting (failed, to be started again), lost (to a newer owner), elsewhere.",
    ["state"],
    (view) => {
      const counts: Record<string, number> = {};
      for (const { state } of view.routes()?.inputs ?? []) counts[state] = (counts[state] ?? 0) + 1;
      return by("state", counts);
    },
  ),
  counter("tidegate_shard_restarts_total", "Times a shard of a route failed and was started again.", [], (view) => {
    const routes = view.routes();
    return routes === null ? [] : one(routes.inputs.reduce((sum, { failures }) => sum + failures, 0));
  }),
  counter(
    "tidegate_checkpoints_total",
    "Checkpoints by result: saved, or error (the store did not answer).",
    ["result"],
    (view) => {
      const all = view.shards().map(({ checkpoints }) => checkpoints);
      const sum = (field: "saved" | "errors") => all.reduce((total, each) => total + each[field], 0);
      return by("result", { saved: sum("saved"), error: sum("errors") });
    },
  ),
  gauge("tidegate_bus_connected", "1 while this node reaches the other nodes' bus, else 0.", ["kind"], (view) => {
    const { kind, connected } = view.busLink();
    return [{ labels: { kind }, value: connected ? 1 : 0 }];
  }),
  gauge(
    "tidegate_bus_held_bytes",
    "Bytes for other nodes that wait to leave, or that the bus's server has not confirmed.",
    [],
    (view) => one(view.busLink().heldBytes),
  ),
  gauge("tidegate_bus_unacknowledged_messages", "Messages that the bus's stream has not acknowledged.", [], (view) =>
    one(view.busLink().unacknowledged),
  ),
  gauge(
    "tidegate_bus_hop_seconds",
    "The longest way of a message from another node to here in the last seconds, by both clocks.",
    [],
    (view) => {
      const { hopMs } = view.busLink();
      return hopMs === null ? [] : one(hopMs / 1000);
    },
  ),
  counter("tidegate_bus_events_total", "What the bus counts by words of its own.", ["event"], (view) =>
    by("event", view.busLink().counts),
  ),
  counter(
    "tidegate_follower_events_total",
    "What the receiving end of the bus has found and healed, by event.",
    ["event"],
    (view) => by("event", view.follower()),
  ),
  counter(
    "tidegate_rest_heads_total",
    "Questions to other nodes' owners for REST, by result: asked, and failed among them.",
    ["result"],
    (view) => by("result", { ...view.restHeads() }),
  ),
  gauge("tidegate_config_version", "Rises with every change of the dynamic configuration that was taken.", [], (view) =>
    ofConfig(view, ({ version }) => one(version)),
  ),
  counter("tidegate_config_refused_total", "Changes of the dynamic configuration that were refused.", [], (view) =>
    ofConfig(view, ({ refused }) => one(refused)),
  ),
  gauge("tidegate_channels", "Channels whose state this node keeps.", [], (view) => one(view.engine().channels)),
  gauge("tidegate_topics", "Streams of encoded frames in use: a channel at one cadence in one wire form.", [], (view) =>
    one(view.engine().topics),
  ),
  gauge("tidegate_stale_channels", "Channels whose subscribers were told not to trust them.", [], (view) =>
    one(view.engine().stale.length),
  ),
  counter("tidegate_ring_laps_total", "Times the ring overtook a worker.", [], (view) =>
    ofEdge(view, (totals) => one(totals.laps)),
  ),
  gauge("tidegate_bus_lag_seconds", "Age of the oldest shard's last HEAD.", [], (view) => {
    const ages = view.bus().flatMap(({ headAgeMs }) => (headAgeMs === null ? [] : [headAgeMs / 1000]));
    return ages.length === 0 ? [] : one(Math.max(...ages));
  }),
  gauge("tidegate_loop_lag_seconds", "Worst lag of a thread's event loop in the last seconds.", ["thread"], (view) => [
    { labels: { thread: "main" }, value: view.loopLagMs() / 1000 },
    ...(view.edge()?.workers ?? []).map(({ worker, loopLagMs }) => ({
      labels: { thread: `worker-${worker}` },
      value: loopLagMs / 1000,
    })),
  ]),
  counter(
    "tidegate_worker_restarts_total",
    "Edge workers that died or were silent and were started again.",
    [],
    (view) => one((view.edge()?.workers ?? []).reduce((sum, { restarts }) => sum + restarts, 0)),
  ),
  gauge("tidegate_draining", "1 while the node drains, else 0.", [], (view) => one(view.drain() === null ? 0 : 1)),
  gauge(
    "tidegate_certificate_expiry_timestamp_seconds",
    "When the served TLS certificate expires, seconds since 1970.",
    [],
    (view) => ofCertificate(view, ({ validTo }) => one(validTo.getTime() / 1000)),
  ),
  counter(
    "tidegate_certificate_reloads_total",
    "Times the certificate's files had changed, by result: renewed or refused.",
    ["result"],
    (view) => ofCertificate(view, ({ renewals, refusals }) => by("result", { renewed: renewals, refused: refusals })),
  ),
  gauge("tidegate_info", "Always 1; the labels say which node and version this is.", ["node", "version"], (view) => [
    { labels: { node: view.nodeId, version: view.version }, value: 1 },
  ]),
  counter("process_cpu_seconds_total", "CPU time of the whole process, all threads.", [], () => {
    const { user, system } = process.cpuUsage();
    return one((user + system) / 1e6);
  }),
  gauge("process_resident_memory_bytes", "Memory of the process that is in RAM.", [], () =>
    one(process.memoryUsage.rss()),
  ),
  gauge("process_start_time_seconds", "When the process started, seconds since 1970.", [], () =>
    one(Math.round(performance.timeOrigin) / 1000),
  ),
];

/** A registry that takes its values from `view` at each scrape. */
export function createMetrics(view: NodeView): Registry {
  const registry = new Registry();
  for (const metric of METRICS) {
    const pulled = { name: metric.name, get: async () => snapshot(metric, view) };
    // prom-client asks no more of a metric than its name and `get`, but its type names the built-in classes.
    registry.registerMetric(pulled as unknown as Parameters<Registry["registerMetric"]>[0]);
  }
  return registry;
}

interface PulledValue {
  readonly metricName?: string;
  readonly labels: Readonly<Record<string, string | number>>;
  readonly value: number;
}

function snapshot(metric: Metric, view: NodeView): Naming & { type: string; values: PulledValue[] } {
  const { name, help, labels, type } = metric;
  const values = metric.type === "histogram" ? [...histogram(metric, view)] : merged(metric.type, metric.samples(view));
  return { name, help, labels, type, values };
}

function merged(type: "counter" | "gauge", samples: Iterable<Sample>): PulledValue[] {
  const values = new Map<string, { labels: Sample["labels"]; value: number }>();
  for (const { labels, value } of samples) {
    const key = JSON.stringify(labels);
    const same = values.get(key);
    if (same === undefined) values.set(key, { labels, value });
    else same.value = type === "counter" ? same.value + value : Math.max(same.value, value);
  }
  return [...values.values()];
}

function* histogram(metric: Metric & { type: "histogram" }, view: NodeView): Generator<PulledValue> {
  for (const { labels, counts, sum } of metric.samples(view)) {
    let total = 0;
    for (const [at, bound] of metric.bounds.entries()) {
      total += counts[at] ?? 0;
      yield { metricName: `${metric.name}_bucket`, labels: { ...labels, le: bound }, value: total };
    }
    total += counts[metric.bounds.length] ?? 0;
    yield { metricName: `${metric.name}_bucket`, labels: { ...labels, le: "+Inf" }, value: total };
    yield { metricName: `${metric.name}_sum`, labels, value: sum };
    yield { metricName: `${metric.name}_count`, labels, value: total };
  }
}
