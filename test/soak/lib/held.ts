/** What a node's process holds: memory, descriptors, and per thread its heap and timers. */
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { waitFor } from "../../lib/wait.ts";
import { HEAP_ASK, type HeapSample } from "./heap-watch.ts";
import type { Watched } from "./watched.ts";

export interface Held {
  readonly residentBytes: number;
  readonly descriptors: number;
  /** By thread. */
  readonly heaps: readonly HeapSample[];
  /** From /metrics. */
  readonly sessions: number;
  readonly subscriptions: number;
  readonly channels: number;
  readonly topics: number;
}

export async function metricsOf(admin: string): Promise<(name: string) => number> {
  const text = await (await fetch(`${admin}/metrics`)).text();
  return (name) => Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1] ?? Number.NaN);
}

/** Everything; each of so many threads counts its heap for it. */
export async function held({ pid, admin, folder, threads }: Watched): Promise<Held> {
  const samples = (): string[] =>
    readdirSync(folder)
      .filter((name) => name.endsWith(".json"))
      .map((name) => join(folder, name));
  for (const path of samples()) rmSync(path);
  writeFileSync(join(folder, HEAP_ASK), "");
  await waitFor(() => samples().length >= threads, "every thread has counted its heap", 120_000);
  const paths = samples().sort();
  const metric = await metricsOf(admin);
  return {
    residentBytes: Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) * 1024,
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    heaps: paths.map((path) => JSON.parse(readFileSync(path, "utf8")) as HeapSample),
    sessions: metric("tidegate_sessions"),
    subscriptions: metric("tidegate_subscriptions"),
    channels: metric("tidegate_channels"),
    topics: metric("tidegate_topics"),
  };
}

/** What a node held before and after. */
export interface Span {
  readonly before: Held;
  readonly after: Held;
}

export interface Growth {
  readonly what: string;
  readonly before: number;
  readonly after: number;
  /** How much the other node grew. */
  readonly other: number;
  /** How much more than that it may. */
  readonly more: number;
  readonly ok: boolean;
}

const MIB = 2 ** 20;
/** A heap of this size breathes by so much from minute to minute; 20,000 sessions that leave 4 KiB each are more. */
const RESIDENT_MIB = 48;

/**
 * Each thing, against a node that nobody came to: a source's own state grows by the hour. Nothing that a client leaves
 * behind is allowed, a little of what breathes is.
 */
export function growths(visited: Span, alone: Span): Growth[] {
  const row = (what: string, of: (held: Held) => number, more: number): Growth => {
    const [before, after] = [of(visited.before), of(visited.after)];
    const other = Math.max(0, of(alone.after) - of(alone.before));
    return { what, before, after, other, more, ok: after - before <= other + more };
  };
  const share = (of: (held: Held) => number, least: number): number => Math.max(least, of(visited.before) * 0.05);
  const resident = ({ residentBytes }: Held): number => residentBytes / MIB;
  const rows = [
    row("resident MiB", resident, RESIDENT_MIB),
    row("descriptors", ({ descriptors }) => descriptors, 2),
    row("sessions", ({ sessions }) => sessions, 0),
    row("subscriptions", ({ subscriptions }) => subscriptions, 0),
    row("topics", ({ topics }) => topics, 0),
    row("channels", ({ channels }) => channels, 0),
    row("threads", ({ heaps }) => heaps.length, 0),
  ];
  for (const { thread } of visited.before.heaps) {
    const heap = ({ heaps }: Held): HeapSample | undefined => heaps.find((sample) => sample.thread === thread);
    const bytes = (held: Held): number => (heap(held)?.bytes ?? Number.NaN) / MIB;
    const objects = (held: Held): number => heap(held)?.objects ?? Number.NaN;
    rows.push(
      row(`${thread}: timers`, (held) => heap(held)?.timers ?? Number.NaN, 5),
      row(`${thread}: heap MiB`, bytes, share(bytes, 2)),
      row(`${thread}: objects`, objects, share(objects, 2000)),
    );
  }
  return rows;
}

const TYPES_SHOWN = 12;

/** The types of objects that became most, over what they did in the other node: where to look when a heap grew. */
export function grownTypes(visited: Span, alone: Span, thread: string): string[] {
  const growth = ({ before, after }: Span, type: string): number => {
    const count = ({ heaps }: Held): number => heaps.find((sample) => sample.thread === thread)?.types[type] ?? 0;
    return count(after) - count(before);
  };
  const types = Object.keys(visited.after.heaps.find((sample) => sample.thread === thread)?.types ?? {});
  return types
    .map((type) => ({ type, more: growth(visited, type) - growth(alone, type) }))
    .sort((a, b) => b.more - a.more)
    .slice(0, TYPES_SHOWN)
    .map(({ type, more }) => `${thread}: ${more} more ${type}`);
}
