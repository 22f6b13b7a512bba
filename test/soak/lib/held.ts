/** What a node's process holds: memory, descriptors, and per thread its heap and timers. */
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { waitFor } from "../../lib/wait.ts";
import { HEAP_ASK, type HeapSample } from "./heap-watch.ts";

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

export interface Watched {
  readonly pid: number;
  readonly admin: string;
  /** Of the heap samples. */
  readonly folder: string;
  readonly threads: number;
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

export interface Growth {
  readonly what: string;
  readonly before: number;
  readonly after: number;
  readonly allowed: number;
  readonly ok: boolean;
}

const MIB = 2 ** 20;

/** Each thing with what it may have grown by: nothing that a client leaves behind, a little of what breathes. */
export function growths(before: Held, after: Held): Growth[] {
  const row = (what: string, from: number, to: number, allowed: number): Growth => ({
    what,
    before: from,
    after: to,
    allowed,
    ok: to - from <= allowed,
  });
  const rows = [
    row(
      "resident MiB",
      before.residentBytes / MIB,
      after.residentBytes / MIB,
      Math.max(16, (before.residentBytes / MIB) * 0.1),
    ),
    row("descriptors", before.descriptors, after.descriptors, 2),
    row("sessions", before.sessions, after.sessions, 0),
    row("subscriptions", before.subscriptions, after.subscriptions, 0),
    row("topics", before.topics, after.topics, 0),
    row("channels", before.channels, after.channels, 0),
  ];
  for (const last of after.heaps) {
    const first = before.heaps.find(({ thread }) => thread === last.thread);
    if (first === undefined) rows.push(row(`${last.thread}: a thread that was not there`, 0, 1, 0));
    else {
      rows.push(
        row(`${last.thread}: timers`, first.timers, last.timers, 5),
        row(`${last.thread}: heap MiB`, first.bytes / MIB, last.bytes / MIB, Math.max(4, (first.bytes / MIB) * 0.1)),
        row(`${last.thread}: objects`, first.objects, last.objects, Math.max(20_000, first.objects * 0.1)),
      );
    }
  }
  return rows;
}
