/** The supervisor with real workers: crash, spin, stall, restart, totals. */
import { afterEach, expect, test } from "bun:test";
import { type Client, type Harness, harness, until } from "./testing/harness.ts";

let h: Harness;
afterEach(() => h.stop());

const subscribe = (id: number, ...channels: string[]) => ({ id, op: "subscribe", channels });

/** Clients on every worker: connects until each worker has asked main something. */
async function clientsOnAll(workers: number): Promise<Client[]> {
  const clients: Client[] = [];
  const asked = () => new Set(h.engine.messages.map(({ worker }) => worker)).size;
  for (let i = 0; i < 200 && (i < 10 || asked() < workers); i++) {
    const client = await h.client();
    await client.ask(subscribe(1, "a@trade"));
    clients.push(client);
  }
  expect(asked()).toBe(workers);
  return clients;
}

/** Some die with worker 0, the others never notice; afterwards a new worker 0 serves. */
async function dies(clients: readonly Client[]): Promise<void> {
  await until(() => h.engine.gone.length > 0, "main hears that the worker is gone");
  await until(() => clients.some(({ closed }) => closed !== null), "its clients are closed");
  const seq = h.engine.publish("a@trade");
  const served = (client: Client) => client.seqs("a@trade").at(-1) === seq;
  await until(
    () => clients.every((client) => client.closed !== null || served(client)),
    "every client is told or served",
  );
  expect(clients.some(served)).toBe(true);
  for (const { closed } of clients) if (closed) expect([1001, 1006]).toContain(closed.code);
  expect(h.engine.gone).toEqual([0]);
  await until(() => h.edge.ready === 2, "a new worker listens");
  expect(h.edge.counters().restarts).toBe(1);
  const before = h.engine.messages.length;
  const asked = () => h.engine.messages.slice(before).some(({ worker }) => worker === 0);
  for (let i = 0; i < 200 && !asked(); i++) await (await h.client()).ask(subscribe(1, "a@trade"));
  expect(asked()).toBe(true);
}

test("supervisor - a worker that crashes is replaced, its clients are closed, the others go on", async () => {
  h = await harness({ workers: 2 });
  const clients = await clientsOnAll(2);
  h.edge.post(0, { is: "inject", fault: "throw", ms: 0 });
  await dies(clients);
});

test("supervisor - a worker that spins is terminated and replaced", async () => {
  h = await harness({ workers: 2, silentMsMax: 500 });
  const clients = await clientsOnAll(2);
  const start = performance.now();
  h.edge.post(0, { is: "inject", fault: "spin", ms: 60_000 });
  await dies(clients);
  expect(performance.now() - start).toBeGreaterThan(400);
});

test("supervisor - a worker that stalls is terminated and replaced", async () => {
  h = await harness({ workers: 2, silentMsMax: 500 });
  const clients = await clientsOnAll(2);
  h.edge.post(0, { is: "inject", fault: "stall", ms: 60_000 });
  await dies(clients);
});

test("supervisor - the only worker is replaced on the same port", async () => {
  h = await harness();
  const { port } = h.edge;
  const client = await h.client();
  await client.ask(subscribe(1, "a@trade"));
  for (let round = 1; round <= 2; round++) {
    h.edge.post(0, { is: "inject", fault: "throw", ms: 0 });
    await until(() => h.engine.gone.length === round && h.edge.ready === 1, "a new worker listens");
  }
  expect(h.edge.port).toBe(port);
  expect((await client.gone()).code).toBe(1001);
  expect(h.engine.topic("a@trade")).toBeUndefined();
  const again = await h.client();
  await again.ask(subscribe(1, "a@trade"));
  h.engine.publish("a@trade");
  await again.until((c) => c.seqs("a@trade").length === 1);
});

test("supervisor - totals do not fall when a worker dies, and its sessions count as closed", async () => {
  h = await harness();
  const clients = await Promise.all(Array.from({ length: 4 }, () => h.client()));
  for (const client of clients) await client.ask(subscribe(1, "a@trade"));
  for (let i = 0; i < 5; i++) h.engine.publish("a@trade");
  await until(() => h.edge.counters().delivered === 24, "24 frames are counted");
  h.edge.post(0, { is: "inject", fault: "throw", ms: 0 });
  await until(() => h.edge.ready === 0, "it is gone");
  const gone = h.edge.counters();
  expect(gone).toMatchObject({ delivered: 24, sessions: 0, subscriptions: 0, closes: { "1001": 4 } });
  await until(() => h.edge.ready === 1, "a new worker listens");
  const client = await h.client();
  await client.ask({ id: 1, op: "ping" });
  await until(() => h.edge.counters().delivered === 25, "the new one's counts come on top");
});

test("supervisor - stop closes every session 1001 and frees the port", async () => {
  h = await harness({ workers: 2 });
  const clients = await Promise.all(Array.from({ length: 6 }, () => h.client()));
  await h.edge.stop();
  for (const client of clients) expect((await client.gone()).code).toBe(1001);
  Bun.listen({ hostname: "127.0.0.1", port: h.edge.port, socket: { data: () => undefined } }).stop(true);
});
