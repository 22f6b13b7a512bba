/**
 * The clients of the drain benchmark, a program of its own: SESSIONS native sessions that connect again the moment they are
 * closed, as the most impatient client would, and subscribe again with `since`.
 *
 * Prints {"event":"connected"} when all are subscribed, and, when stdin ended and all are back, {"event":"result", ..}. Every session ends
 * as one of: never closed, back (subscribed again and pushed to), lost.
 */
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    url: { type: "string" },
    sessions: { type: "string", default: "5000" },
    rate: { type: "string", default: "1000" },
  },
});
const url = values.url!;
const sessions = Number(values.sessions);
const CHANNEL = "c0";
/** The notice may have lain in a busy client for so long when it was read. */
const NOTICE_MS = 500;
/** A session that is not back so long after the node's end is lost. */
const GIVE_UP_MS = 30_000;
/** Between two attempts of one client that was refused. */
const AGAIN_MS = 50;

const tally = {
  told: 0,
  beforeTold: 0,
  closes: {} as Record<string, number>,
  attempts: [] as number[],
  refused: 0,
  outagesMs: [] as number[],
  back: 0,
};
let running = 0;

class Client {
  #position: { epoch: string; seq: number } | null = null;
  #closedMs = Number.NaN;
  #moved = false;
  #toldMs = Number.NaN;
  ready: () => void = () => undefined;

  connect(): void {
    if (this.#moved) tally.attempts.push(performance.now());
    const socket = new WebSocket(url);
    let opened = false;
    socket.onopen = () => {
      opened = true;
      const since = this.#position === null ? {} : { since: { [CHANNEL]: this.#position } };
      socket.send(JSON.stringify({ id: 1, op: "subscribe", channels: [CHANNEL], ...since }));
    };
    socket.onmessage = ({ data }) => this.#take(data as string);
    socket.onclose = ({ code }) => {
      if (opened) this.#closed(code);
      else {
        tally.refused++;
        setTimeout(() => this.connect(), AGAIN_MS);
      }
    };
  }

  #take(frame: string): void {
    const { id, type, channels, epoch, seq, afterMs } = JSON.parse(frame);
    if (id === 1) {
      const outcome = channels[CHANNEL];
      this.#position = { epoch: outcome.epoch, seq: outcome.seq ?? 0 };
      if (!this.#moved) running++;
      else if (!Number.isNaN(this.#closedMs)) tally.outagesMs.push(performance.now() - this.#closedMs);
      this.ready();
    } else if (type === "drain") {
      tally.told++;
      this.#toldMs = performance.now() + afterMs;
    } else if (seq !== undefined) {
      this.#position = { epoch: epoch ?? this.#position?.epoch, seq };
      if (!Number.isNaN(this.#closedMs)) {
        tally.back++;
        this.#closedMs = Number.NaN;
      }
    }
  }

  #closed(code: number): void {
    tally.closes[code] = (tally.closes[code] ?? 0) + 1;
    this.#closedMs = performance.now();
    if (!(this.#closedMs >= this.#toldMs - NOTICE_MS)) tally.beforeTold++;
    this.#moved = true;
    this.connect();
  }
}

const pauseMs = 100;
const batch = Math.ceil((Number(values.rate) * pauseMs) / 1000);
for (let begun = 0; begun < sessions; begun += batch) {
  const some = Array.from({ length: Math.min(batch, sessions - begun) }, () => new Client());
  for (const client of some) client.connect();
  await Bun.sleep(pauseMs);
}
while (running < sessions) await Bun.sleep(10);
console.log(JSON.stringify({ event: "connected", sessions: running }));

await Bun.stdin.text();
const giveUpMs = performance.now() + GIVE_UP_MS;
while (tally.back < sessions && performance.now() < giveUpMs) await Bun.sleep(10);
/** The most attempts in any second, sliding. */
function peak(times: readonly number[]): number {
  const sorted = [...times].sort((a, b) => a - b);
  let most = 0;
  for (let from = 0, to = 0; to < sorted.length; to++) {
    while (sorted[to]! - sorted[from]! >= 1000) from++;
    most = Math.max(most, to - from + 1);
  }
  return most;
}
const outages = tally.outagesMs.sort((a, b) => a - b);
const at = (part: number): number =>
  outages[Math.min(outages.length - 1, Math.floor(outages.length * part))] ?? Number.NaN;
console.log(
  JSON.stringify({
    event: "result",
    told: tally.told,
    closedBeforeTold: tally.beforeTold,
    closes: tally.closes,
    attempts: tally.attempts.length,
    attemptsPerSecondMax: peak(tally.attempts),
    refused: tally.refused,
    back: tally.back,
    outageMs: { p50: at(0.5), p99: at(0.99), max: at(1) },
  }),
);
process.exit(0);
