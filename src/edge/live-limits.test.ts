/** Limits and settings of topics that change while real workers run. */
import { afterEach, expect, test } from "bun:test";
import { waitFor } from "../../test/lib/wait.ts";
import { DEFAULT_LIMITS, type EdgeLimits } from "./config.ts";
import { liveLimits } from "./live-limits.ts";
import { type Client, type Harness, harness, until } from "./testing/harness.ts";

let h: Harness | null = null;
afterEach(async () => {
  await h?.stop();
  h = null;
});

const limitsWith = (change: Partial<EdgeLimits>): EdgeLimits => ({ ...DEFAULT_LIMITS, ...change });

/** The code of the reply's error, 0 if there is none. */
async function codeOf(client: Client, id: number, ...channels: string[]): Promise<number> {
  const reply = await client.ask({ id, op: "subscribe", channels });
  return reply.error?.code ?? reply.errors?.[0]?.code ?? 0;
}

test("live limits - fields that need a restart keep what they were, and what is tied to them stays sound", () => {
  const given = limitsWith({
    subscriptionsMax: 7,
    frameBytesMax: 128,
    outboxBytesHigh: 8_000_000,
    outboxBytesMax: 9_000_000,
  });
  const live = liveLimits(DEFAULT_LIMITS, given);
  expect(live).toEqual(limitsWith({ subscriptionsMax: 7 }));
  expect(liveLimits(DEFAULT_LIMITS, limitsWith({ outboxBytesHigh: 300_000 })).outboxBytesHigh).toBe(300_000);
  expect(DEFAULT_LIMITS.subscriptionsMax).toBe(1024);
});

test("live limits - sessions that exist have them at once, and no session is closed for it", async () => {
  h = await harness();
  const client = await h.client();
  expect(await codeOf(client, 1, "a@trade")).toBe(0);
  h.edge.change({ limits: limitsWith({ subscriptionsMax: 1 }), topics: [] });
  // A worker that reads commands and settings from two ports may take them in any order.
  let id = 2;
  for (let code = 0; code !== 1301; id++) code = await codeOf(client, id, id % 2 === 0 ? "b@trade" : "c@trade");
  h.edge.change({ limits: DEFAULT_LIMITS, topics: [] });
  for (let code = 1; code !== 0; id++) code = await codeOf(client, id, "c@trade");
  h.engine.publish("a@trade");
  await client.until((c) => c.seqs("a@trade").length === 1);
  expect(client.closed).toBeNull();
});

test("live limits - who may come in is decided by the newest ones, also by a worker that starts later", async () => {
  h = await harness();
  const client = await h.client();
  h.edge.change({ limits: limitsWith({ deny: ["127.0.0.0/8"] }), topics: [] });
  const url = h.url("/ws/quote/v1").replace("ws:", "http:");
  const status = async () => (await fetch(url).catch(() => null))?.status ?? 0;
  const isDenied = (): Promise<void> => waitFor(async () => (await status()) === 403, "the address is denied");
  await isDenied();
  expect(client.closed).toBeNull();
  h.edge.post(0, { is: "inject", fault: "throw", ms: 0 });
  await until(() => h?.edge.ready === 1 && h.edge.counters().restarts === 1, "a new worker listens");
  expect(await status()).toBe(403);
});

test("live topics - new subscriptions go by the new settings, those that exist go on", async () => {
  h = await harness();
  const client = await h.client();
  expect(await codeOf(client, 1, "a@trade")).toBe(0);
  h.edge.change({ limits: DEFAULT_LIMITS, topics: [{ topic: "a@trade", auth: "private" }] });
  let id = 2;
  const other = await h.client();
  for (let code = 0; code === 0; id++) {
    code = await codeOf(other, id, "a@trade");
    if (code === 0) await other.ask({ id: ++id, op: "unsubscribe", channels: ["a@trade"] });
  }
  h.engine.publish("a@trade");
  await client.until((c) => c.seqs("a@trade").length === 1);
});
