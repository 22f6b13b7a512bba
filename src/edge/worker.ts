/**
 * An edge worker: the entry of the thread, and the one place that puts its parts together.
 *
 * On the path: ring -> pump -> records -> hub -> Bun.serve -> clients, and back by `postMessage`.
 * Invariants: it stands at the ring's tail before it listens; it beats every 100 ms from its own event loop, so that one
 * that spins or stalls is found out. At the limit: an error nobody caught ends the worker; main starts another.
 */
import { TopicSettings } from "../channel/topic-settings.ts";
import { systemClock } from "../lib/clock.ts";
import { binance } from "../protocol/binance/mod.ts";
import { CLOSES } from "../protocol/codes.ts";
import { native } from "../protocol/native/mod.ts";
import type { EdgeToMain, MainToEdge } from "../ring/messages.ts";
import { createRingReader } from "../ring/mod.ts";
import { Admission } from "./admission/admission.ts";
import { Census } from "./admission/census.ts";
import { checkEdgeConfig, type EdgeConfig, type EdgeLimits } from "./config.ts";
import { Counters } from "./counters.ts";
import { Controls } from "./delivery/control.ts";
import { LeavingOut } from "./delivery/left-out.ts";
import { Outbound } from "./delivery/outbound.ts";
import { Outboxes } from "./delivery/outboxes.ts";
import { Pump } from "./delivery/pump.ts";
import { Records } from "./delivery/records.ts";
import { Repair } from "./delivery/repair.ts";
import { SLOW_SWEEP_MS, Slow } from "./delivery/slow.ts";
import { Hub } from "./hub.ts";
import { Listening } from "./listening.ts";
import { changeLimits } from "./live-limits.ts";
import { misbehave } from "./misbehave.ts";
import { Postbox } from "./postbox.ts";
import { Requests } from "./requests.ts";
import { RestForwarder } from "./rest.ts";
import { Routes } from "./routes.ts";
import { Commands } from "./session/commands.ts";
import { Heartbeat, SWEEP_MS } from "./session/heartbeat.ts";
import { Joining } from "./session/joins.ts";
import { Lifecycle } from "./session/lifecycle.ts";
import { Moves } from "./session/moves.ts";
import { close } from "./session/session.ts";

declare const self: Worker;

const BEAT_MS = 100;
const COUNTERS_MS = 1000;
/** Exit status of a worker that was lapped twice. */
const EXIT_LAPPED = 3;

const postbox = new Postbox((message: EdgeToMain): void => self.postMessage(message));
const { post } = postbox;

function start(message: MainToEdge & { is: "start" }): (message: MainToEdge) => void {
  const { config, ring, census, column, outboxes, worker, generation } = message;
  // Main made it; both are of one build.
  const edge = checkEdgeConfig(config as EdgeConfig);
  // Held by all parts, which ask it each time: it changes in place.
  const limits = structuredClone(edge.limits);
  const clock = systemClock();
  const nowMs = () => clock.monotonicMs();
  const dialects = { native, binance };
  const reader = createRingReader(ring, worker, { startAt: "tail" });

  const counters = new Counters();
  const topics = new TopicSettings(edge.topics, edge.defaultMarket);
  const hub = new Hub(counters, dialects, post);
  const requests = new Requests(post, nowMs, limits.askAgainMs, generation);
  const moves = new Moves(hub, requests, counters);
  const joining = new Joining(hub, requests, counters, limits, moves, nowMs);
  const failed = (error: unknown) => {
    post({ is: "log", message: "a client's request brought out a fault", error: textOf(error) });
  };
  const commands = new Commands(hub, joining, moves, counters, limits, topics);
  const lifecycle = new Lifecycle(hub, commands, joining, counters, limits, nowMs, failed);
  const slow = new Slow({
    hub,
    moves,
    leavingOut: new LeavingOut(hub, requests, counters, limits),
    lingering: lifecycle.lingering,
    outboxes: new Outboxes(outboxes, worker, limits.outboxBytesNodeMax),
    counters,
    limits,
    nowMs,
    onSlow: (channel) => topics.of(channel).onSlow,
  });
  const admission = new Admission(limits, {
    census: new Census(census, column),
    counters,
    wallMs: () => clock.wallUs() / 1000,
    random: Math.random,
  });
  const outbound = new Outbound(limits, {
    counters,
    slowDown: (session, cause) => slow.slowDown(session, cause),
  });
  const heartbeat = new Heartbeat(hub, counters, limits, outbound);
  const controls = new Controls(hub);
  const rest = new RestForwarder(post, clock, limits, counters);

  const closeAll = (): void => {
    const { code, message } = CLOSES.GOING_AWAY;
    for (const session of [...hub.sessions]) close(session, code, message);
  };
  const giveUp = (): never => {
    closeAll();
    process.exit(EXIT_LAPPED);
  };
  const repair = new Repair({ hub, requests, joining, moves, controls, counters, giveUp });
  const records = new Records({ hub, requests, joining, moves, controls, repair, counters });
  const pump = new Pump(reader, records, repair, counters, clock, limits.flushMsMax);

  let beatDueMs = nowMs() + BEAT_MS;
  let lagMs = 0;
  setInterval(() => {
    reader.beat();
    lagMs = Math.max(lagMs, nowMs() - beatDueMs);
    beatDueMs = nowMs() + BEAT_MS;
  }, BEAT_MS);
  setInterval(() => {
    heartbeat.sweep(nowMs());
    joining.sweep();
    requests.askAgain();
  }, SWEEP_MS);
  setInterval(() => slow.sweep(), SLOW_SWEEP_MS);
  const report = () => post({ is: "counters", counters: counters.report(hub, slow) });
  setInterval(() => {
    counters.loopLagMs = lagMs;
    lagMs = 0;
    report();
  }, COUNTERS_MS);

  const routes = new Routes(edge.endpoints, edge.rest, dialects);
  const listening = new Listening(
    edge,
    { routes, rest, admission, lifecycle, nowMs, failed, beat: () => reader.beat() },
    {
      ...{ hub, counters, clock, random: Math.random, parting: lifecycle.lingering },
      ...{ progress: report, drained: () => post({ is: "drained" }) },
    },
  );
  const renew = ({ cert, key, drainMs }: MainToEdge & { is: "renew" }): void => {
    try {
      listening.renew({ cert, key }, drainMs);
    } catch (error) {
      post({ is: "log", message: "a listener with the new certificate cannot be opened", error: textOf(error) });
    }
  };
  if (listening.blind !== null && worker === 0 && generation === 0) {
    const text = "slow clients are noticed only after the kernel has taken megabytes for them";
    post({ is: "log", level: "warn", message: text, error: listening.blind });
  }
  reader.beat();
  void pump.run();
  post({ is: "ready", port: listening.port });

  return (message) => {
    switch (message.is) {
      case "rest":
        return rest.answered(message.answers);
      case "inject":
        return misbehave(message.fault, message.ms);
      case "drain":
        return listening.drain(message.ms);
      case "renew":
        return renew(message);
      case "settings":
        changeLimits(limits, message.limits as EdgeLimits);
        admission.changed();
        return topics.replace(message.topics);
      case "stop":
        listening.stop();
        closeAll();
        reader.detach();
        process.exit(0);
    }
  };
}

const textOf = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : String(error));

let take: ((message: MainToEdge) => void) | null = null;

self.onmessage = (event: MessageEvent<MainToEdge>): void => {
  if (take !== null) take(event.data);
  else if (event.data.is === "start") take = start(event.data);
};
