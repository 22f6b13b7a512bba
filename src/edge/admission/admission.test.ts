/** Admission by itself: seats are given back once, users are counted, a full census lets in, lives differ. */
import { expect, test } from "bun:test";
import type { Server } from "bun";
import { DEFAULT_LIMITS, type EdgeLimits } from "../config.ts";
import { Counters } from "../counters.ts";
import { Session, type Wire } from "../session/session.ts";
import { Admission } from "./admission.ts";
import { Census, createCensus } from "./census.ts";
import { CensusColumns } from "./columns.ts";

function desk(limits: Partial<EdgeLimits>, memory = createCensus(2, 100), column = 0) {
  const counters = new Counters();
  const census = new Census(memory, column);
  let nowMs = 0;
  const admission = new Admission(
    { ...DEFAULT_LIMITS, ...limits },
    { census, counters, wallMs: () => nowMs, random: () => chance },
  );
  let chance = 0;
  const server = (address: string | null) =>
    ({ requestIP: () => (address === null ? null : { address, port: 1, family: "IPv4" }) }) as unknown as Pick<
      Server<Session>,
      "requestIP"
    >;
  const request = new Request("http://x/");
  return {
    ...{ admission, census, counters },
    /** A session of the address, or the status of its refusal. */
    async open(address: string | null): Promise<Session | number> {
      const client = admission.client(request, server(address));
      if (client instanceof Response) return client.status;
      const session = new Session({} as Wire, [], 0);
      return admission.enter(session, client, null)?.status ?? session;
    },
    at(ms: number) {
      nowMs = ms;
    },
    by(value: number) {
      chance = value;
    },
  };
}

const opened = (one: Session | number): Session => {
  if (typeof one === "number") throw new Error(`refused with ${one}`);
  return one;
};

test("admission - without limits nobody's address is asked for", async () => {
  const d = desk({});
  const session = opened(await d.open(null));
  expect(d.census.sessions).toBe(1);
  d.admission.left(session);
  d.admission.left(session);
  expect(d.census.sessions).toBe(0);
});

test("admission - a connection that has gone has no address, and is answered all the same", async () => {
  expect(await desk({ sessionsPerIpMax: 1 }).open(null)).toBe(400);
});

test("admission - a refusal leaves nothing counted", async () => {
  const d = desk({ sessionsMax: 2, sessionsPerIpMax: 1 });
  const first = opened(await d.open("1.1.1.1"));
  expect([await d.open("1.1.1.1"), d.census.sessions, d.census.count("1.1.1.1")]).toEqual([429, 1, 1]);
  opened(await d.open("1.1.1.2"));
  expect([await d.open("1.1.1.3"), d.census.sessions, d.census.count("1.1.1.3")]).toEqual([503, 2, 0]);
  d.admission.left(first);
  expect(opened(await d.open("1.1.1.1"))).toBeInstanceOf(Session);
  expect(d.counters.limits).toEqual({ sessionsPerIpMax: 1, sessionsMax: 1 });
  expect(d.counters.errors).toEqual({ "1303": 1, "1502": 1 });
});

test("admission - a user's sessions are counted over all workers, apart from addresses", async () => {
  const memory = createCensus(2, 100);
  const [a, b] = [desk({ sessionsPerUserMax: 2 }, memory, 0), desk({ sessionsPerUserMax: 2 }, memory, 1)];
  const sessions = [await a.open("x"), await b.open("x"), await b.open("x")].map(opened);
  expect(a.admission.login(sessions[0]!, "ann")).toBe(true);
  expect(b.admission.login(sessions[1]!, "ann")).toBe(true);
  expect(b.admission.login(sessions[2]!, "ann")).toBe(false);
  expect(b.counters.limits).toEqual({ sessionsPerUserMax: 1 });
  // Logging in as somebody else gives the place back.
  expect(a.admission.login(sessions[0]!, "bob")).toBe(true);
  expect(b.admission.login(sessions[2]!, "ann")).toBe(true);
  for (const [at, session] of sessions.entries()) (at === 0 ? a : b).admission.left(session);
  expect([a.census.count("user ann"), a.census.count("user bob"), a.census.sessions]).toEqual([0, 0, 0]);
});

test("admission - who finds no place in a full census comes in uncounted", async () => {
  const d = desk({ sessionsPerIpMax: 1 }, createCensus(1, 1));
  let uncounted = 0;
  for (let n = 0; n < 1500; n++) {
    const { addressPlace } = opened(await d.open(`10.0.${n >> 8}.${n & 255}`));
    if (addressPlace < 0) uncounted++;
  }
  expect(uncounted).toBeGreaterThanOrEqual(1500 - 1024);
  expect(d.counters.limits).toEqual({ census: uncounted });
  expect(d.census.sessions).toBe(1500);
});

test("admission - a life ends up to a tenth early, by chance; without a limit never", async () => {
  const d = desk({ sessionMsMax: 1000 });
  const long = opened(await d.open("x")).endsMs;
  d.by(1);
  const short = opened(await d.open("x")).endsMs;
  expect([long, short]).toEqual([1000, 900]);
  expect(opened(await desk({ sessionMsMax: 0 }).open("x")).endsMs).toBe(Number.POSITIVE_INFINITY);
});

test("columns - a worker's counts go when it is gone, and a late thread's are not those of the next", () => {
  const columns = new CensusColumns(2, 0);
  const census = (worker: number, generation: number) => new Census(columns.memory, columns.of(worker, generation));
  const sessions = () => census(0, 0).sessions;
  const first = census(0, 0);
  census(1, 0).enter(10);
  first.enter(10);
  columns.clear(0, 0);
  expect(sessions()).toBe(1);
  const second = census(0, 1);
  second.enter(10);
  // The old thread has not ended yet, and takes somebody in.
  first.enter(10);
  columns.clear(0, 0, 1);
  expect(sessions()).toBe(2);
  // Two generations later the column is in use again: then it is not cleared.
  census(0, 2).enter(10);
  columns.clear(0, 0, 2);
  expect(sessions()).toBe(3);
});
