/**
 * Random fault schedules: whatever the venue's connection does, a followed book is at every moment in a state that the
 * venue's book has had, or it was told stale; and once the faults end it equals the venue's.
 *
 * TIDEGATE_FAULT_SCHEDULES says how many, TIDEGATE_FAULT_SEED which is the first.
 */
import { expect, test } from "bun:test";
import { channelName, symbolOf } from "../../src/channel/name.ts";
import { waitFor } from "../lib/wait.ts";
import { type Fault, VenueServer } from "../venue/venue-server.ts";
import { SCRIPTS, type Scripted } from "./scripts.ts";
import { difference, fastClock, settled, startUpstream } from "./upstream-rig.ts";

const SCHEDULES = Number(process.env.TIDEGATE_FAULT_SCHEDULES ?? 200);
const SEED = Number(process.env.TIDEGATE_FAULT_SEED ?? 1);
const AT_ONCE = 6;
const FRAMES = 240;
const SYMBOLS = 3;

/** Faults that a venue's frames allow to be found out. A lost frame shows only where frames are numbered. */
const ANY: readonly Fault[] = ["cut", "cut-within", "twice", "garble", "late", "silence"];
const NUMBERED = new Set(["binance", "binance usdm", "okx with sequence ids"]);

function randomOf(seed: number): () => number {
  let state = seed * 0x9e3779b9;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** The first frames of a few symbols, so that a schedule takes no time. */
function shortened({ speech, options, symbols, ...rest }: Scripted): Scripted {
  const few = symbols.slice(0, SYMBOLS);
  const script: string[] = [];
  for (const frame of options.script) {
    const symbol = speech.read(frame)?.symbol;
    if (symbol === undefined || few.includes(symbol)) script.push(frame);
    if (script.length === FRAMES) break;
  }
  const start = options.start && { start: new Map([...options.start].filter(([symbol]) => few.includes(symbol))) };
  return { ...rest, speech, symbols: few, options: { ...options, script, ...start } };
}

const SHORT = SCRIPTS.map(shortened);

/** When a frame's change was made, as far as it says; only that tells a reader the order of frames without numbers. */
const timeOf = (frame: string): string =>
  [...frame.matchAll(/"(?:time|timestamp|ts)":"([^"]+)"|"(\d{10}\.\d{6})"/g)]
    .map((match) => match[1] ?? match[2] ?? "")
    .toSorted()
    .at(-1) ?? "";

/** Nothing would ever show that the last frame of a symbol was lost. */
function isLast(frame: string, script: readonly string[], at: number, speech: Scripted["speech"]): boolean {
  const symbol = speech.read(frame)?.symbol;
  return symbol !== undefined && !script.slice(at + 1).some((later) => speech.read(later)?.symbol === symbol);
}

async function schedule(seed: number): Promise<string | null> {
  const random = randomOf(seed);
  const script = SHORT[seed % SHORT.length]!;
  const { name, speech, options, symbols } = script;
  const isNumbered = NUMBERED.has(name);
  const kinds: readonly Fault[] = isNumbered ? [...ANY, "lose"] : ANY;
  const rate = 0.002 + random() * 0.03;

  await using venue = await VenueServer.start(options);
  venue.fault = (frame) => {
    if (random() >= rate) return "none";
    const fault = kinds[Math.floor(random() * kinds.length)]!;
    if (fault === "lose") return isLast(frame, options.script, venue.at, speech) ? "none" : fault;
    if (fault !== "late" || isNumbered) return fault;
    // Two changes of one moment, or a snapshot and the change behind it, cannot be told from their reverse.
    const next = options.script[venue.at + 1];
    const change = speech.read(frame);
    const following = next === undefined ? null : speech.read(next);
    if (change === null || following === null || change.type === "snapshot") return "none";
    return change.symbol === following.symbol && timeOf(frame) >= timeOf(next!) ? "none" : "late";
  };
  venue.rest = async () => {
    if (random() < 0.3) await Bun.sleep(random() * 20);
    return random() < 0.2 ? "error" : "ok";
  };

  const { ws: url, http: rest } = venue.socket;
  await using rig = await startUpstream({
    venue: script.venue,
    symbols,
    url,
    rest,
    clock: fastClock(50),
    random,
  });
  const market = script.venue === "binance-usdm" ? "usdm" : "spot";
  const symbolOfChannel = new Map(symbols.map((one) => [channelName(market, symbolOf(one), "depth", "spot"), one]));
  let violation: string | null = null;
  const doubtful = new Set<string>();
  rig.bus.changed = (channel, follower) => {
    const symbol = symbolOfChannel.get(channel)!;
    const isTrue = follower.stale || venue.hasBeen(symbol, follower.book.digest);
    if (isTrue) {
      doubtful.delete(symbol);
      return;
    }
    // Without numbers an overtaken frame shows only when it arrives: with the next publication of its book.
    if (isNumbered || doubtful.has(symbol)) violation ??= `${symbol}: a state the venue never had`;
    doubtful.add(symbol);
  };

  while (!venue.ended) {
    venue.play(1 + Math.floor(random() * 12));
    const chance = random();
    if (chance < 0.02) venue.socket.refuse = random() < 0.5 ? 403 : 0;
    else if (chance < 0.03) venue.socket.mute = true;
    else if (chance < 0.3) {
      venue.socket.refuse = null;
      venue.socket.mute = false;
    }
    await Bun.sleep(random() < 0.1 ? 3 : 0);
  }
  venue.fault = () => "none";
  venue.rest = async () => "ok";
  venue.socket.refuse = null;
  venue.socket.mute = false;
  const outcome = await settled(rig, venue, 10_000).then(
    () => null,
    () => difference(rig, venue),
  );
  const problem = violation ?? outcome ?? (doubtful.size > 0 ? "doubt remains" : null);
  return problem === null ? null : `seed ${seed} ${name}: ${problem} after ${JSON.stringify(venue.faults)}`;
}

test.skipIf(SHORT.length === 0)(
  `upstream faults - ${SCHEDULES} random schedules: every book equals the venue's or was told stale`,
  async () => {
    const problems: string[] = [];
    let next = SEED;
    const worker = async (): Promise<void> => {
      while (next < SEED + SCHEDULES) {
        const problem = await schedule(next++);
        if (problem !== null) problems.push(problem);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    expect(problems).toEqual([]);
  },
  600_000,
);

test.skipIf(SHORT.length === 0)(
  "upstream faults - a snapshot cut in its middle leaves no book, and the next one is whole",
  async () => {
    const script = SHORT[0]!;
    await using venue = await VenueServer.start(script.options);
    let cuts = 2;
    venue.fault = (frame) => (frame.includes('"as"') && cuts-- > 0 ? "cut-within" : "none");
    await using rig = await startUpstream({
      venue: script.venue,
      symbols: script.symbols,
      url: venue.socket.ws,
      clock: fastClock(50),
    });
    await waitFor(() => script.symbols.every((symbol) => venue.follows(symbol)), "every book is subscribed");
    while (!venue.ended) {
      venue.play(5);
      await Bun.sleep(1);
    }
    await settled(rig, venue);
    expect(venue.faults).toEqual({ "cut-within": 2 });
    expect(rig.shards[0]!.status().source.reconnects).toBe(2);
  },
);

for (const script of SHORT) {
  test(`upstream faults - ${script.name}: the first snapshot of a book is unreadable and nothing follows it`, async () => {
    await using venue = await VenueServer.start(script.options);
    const unlucky = script.symbols.at(-1)!;
    let garbled = false;
    venue.fault = (frame) => {
      if (garbled || script.speech.read(frame)?.symbol !== unlucky) return "none";
      garbled = true;
      return "garble";
    };
    const { ws: url, http: rest } = venue.socket;
    await using rig = await startUpstream({
      venue: script.venue,
      symbols: script.symbols,
      url,
      rest,
      clock: fastClock(50),
    });
    await waitFor(() => script.symbols.every((symbol) => venue.follows(symbol)), "every book is subscribed");
    // Snapshots are answers to the subscription, changes are played.
    if (!garbled) while (!venue.ended && !garbled) venue.play(1);
    await settled(rig, venue);
    expect(garbled).toBe(true);
  });
}
