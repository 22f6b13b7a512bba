import { expect, test } from "bun:test";
import { type StopSignal, watchSignals } from "./signals.ts";

function rig(hangUpStops = false) {
  const calls = new Map<string, () => void>();
  const statuses: number[] = [];
  const world = {
    ms: 1000,
    on: (name: StopSignal, call: () => void) => void calls.set(name, call),
    exit: (status: number) => void statuses.push(status),
    nowMs: () => world.ms,
  };
  const signals = watchSignals(hangUpStops, world);
  return { signals, statuses, world, raise: (name: StopSignal) => calls.get(name)?.() };
}

test("signals - the first one to stop is told, a second one ends the process", async () => {
  const { signals, statuses, world, raise } = rig();
  raise("SIGTERM");
  expect(await signals.stop).toBe("SIGTERM");
  world.ms += 501;
  raise("SIGTERM");
  raise("SIGINT");
  expect(statuses).toEqual([143, 130]);
});

test("signals - one Ctrl-C that arrives several times is one", async () => {
  const { signals, statuses, world, raise } = rig();
  raise("SIGINT");
  world.ms += 400;
  raise("SIGINT");
  raise("SIGTERM");
  expect(await signals.stop).toBe("SIGINT");
  expect(statuses).toEqual([]);
});

test("signals - SIGHUP reloads as often as it comes, also before somebody listens", () => {
  const { signals, statuses, raise } = rig();
  raise("SIGHUP");
  let reloads = 0;
  signals.onReload(() => reloads++);
  raise("SIGHUP");
  raise("SIGHUP");
  expect([reloads, statuses]).toEqual([2, []]);
});

test("signals - without a certificate a terminal that hangs up stops the node", async () => {
  const { signals, raise } = rig(true);
  raise("SIGHUP");
  expect(await signals.stop).toBe("SIGHUP");
});
