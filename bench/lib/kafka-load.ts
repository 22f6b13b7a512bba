/**
 * Child of bench/kafka.ts: writes trades at an even rate and receives them as a native client of the node, in one process so
 * that both times are of one clock. Prints one JSON line.
 *
 *     bun bench/lib/kafka-load.ts KAFKA WS_URL SYMBOLS RATE SECONDS
 */
import { BenchDesk, symbolOf, tradeOf } from "./kafka-desk.ts";

export interface LoadMeasured {
  readonly written: number;
  readonly received: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly faults: readonly string[];
}

const WARM_MS = 2000;
const SETTLE_MS_MAX = 10_000;
/** Records of one tick go in one request. */
const TICK_MS = 2;
const REQUESTS_MAX = 4;
const RECORDS_MAX = 2000;

const [server, url, symbolsText, rateText, secondsText] = process.argv.slice(2) as [
  string,
  string,
  string,
  string,
  string,
];
const [symbols, rate, seconds] = [Number(symbolsText), Number(rateText), Number(secondsText)];
const nowUs = (): number => Math.floor((performance.timeOrigin + performance.now()) * 1000);

const latencies: number[] = [];
const faults: string[] = [];
const have = new Map<string, number | null>();
let received = 0;
let measuring = false;

interface Push {
  readonly id?: number;
  readonly channel?: string;
  readonly type?: string;
  readonly prev?: number | null;
  readonly seq?: number;
  readonly data?: readonly { readonly id: string }[];
}

const socket = new WebSocket(url);
await new Promise<void>((resolve, reject) => {
  socket.onopen = () => resolve();
  socket.onerror = () => reject(new Error(`no connection to ${url}`));
});
const joined = Promise.withResolvers<void>();
socket.onmessage = ({ data }) => {
  const at = nowUs();
  for (const text of String(data).split("\n")) take(JSON.parse(text) as Push, at);
};
socket.onclose = ({ code }) => faults.push(`closed ${code}`);

function take(push: Push, at: number): void {
  if (push.id === 1) joined.resolve();
  if (push.channel === undefined || push.type !== "items" || push.data === undefined) {
    if (push.type === "gap" || push.type === "stale") faults.push(`${push.type} of ${push.channel}`);
    return;
  }
  const last = have.get(push.channel);
  if (last !== undefined && push.prev !== last) faults.push(`${push.channel}: prev ${push.prev} behind ${last}`);
  have.set(push.channel, push.seq ?? null);
  for (const { id } of push.data) {
    received++;
    if (measuring) latencies.push(at - Number(id));
  }
}

const channels = Array.from({ length: symbols }, (_, at) => `${symbolOf(at)}@trade`);
socket.send(JSON.stringify({ id: 1, op: "subscribe", channels }));
await joined.promise;

const desk = new BenchDesk(server);
let written = 0;
let open = 0;
const start = performance.now();
const end = start + WARM_MS + seconds * 1000;
while (performance.now() < end) {
  measuring = performance.now() >= start + WARM_MS;
  const due = Math.min(RECORDS_MAX, Math.floor(((performance.now() - start) * rate) / 1000) - written);
  // More requests at a time would wait inside the producer.
  if (due > 0 && open < REQUESTS_MAX) {
    const messages = Array.from({ length: due }, (_, at) => tradeOf((written + at) % symbols, nowUs()));
    written += due;
    open++;
    desk.write(messages).then(
      () => open--,
      (error: unknown) => faults.push(String(error)),
    );
  }
  await Bun.sleep(TICK_MS);
}
const settled = performance.now() + SETTLE_MS_MAX;
while ((received < written || open > 0) && performance.now() < settled) await Bun.sleep(10);
measuring = false;
if (received !== written) faults.push(`${written} written, ${received} received`);
latencies.sort((a, b) => a - b);
const quantile = (of: number): number =>
  (latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * of))] ?? Number.NaN) / 1000;
const measured: LoadMeasured = {
  ...{ written, received, p50Ms: quantile(0.5), p99Ms: quantile(0.99), maxMs: quantile(1) },
  faults: faults.slice(0, 20),
};
console.log(JSON.stringify(measured));
await desk.close();
process.exit(0);
