/**
 * The signals of a node that runs.
 *
 * SIGTERM drains, SIGINT (Ctrl-C) does so quickly, a second one of either ends the process at once. SIGHUP reads the
 * certificate again; where there is none and a terminal, the terminal was closed, and that is SIGINT.
 */

export type StopSignal = "SIGINT" | "SIGTERM" | "SIGHUP";

export interface Signals {
  /** The first signal to stop. */
  readonly stop: Promise<StopSignal>;
  /** What SIGHUP does from now on. */
  onReload(call: () => void): void;
}

/** What a signal is told by, and what ends the process: the real ones are `process`'s. */
export interface SignalWorld {
  on(name: StopSignal, call: () => void): void;
  exit(status: number): void;
  nowMs(): number;
}

/** One Ctrl-C reaches us several times: from the terminal, from npm and from the launcher. */
const SAME_MS = 500;
/** 128 and the signal's number. */
const STATUS = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

const realWorld: SignalWorld = {
  on: (name, call) => void process.on(name, call),
  exit: (status) => process.exit(status),
  nowMs: () => performance.now(),
};

export function watchSignals(hangUpStops: boolean, world: SignalWorld = realWorld): Signals {
  const { promise, resolve } = Promise.withResolvers<StopSignal>();
  let firstMs: number | null = null;
  let reload: () => void = () => undefined;
  const stop = (name: StopSignal): void => {
    if (firstMs === null) {
      firstMs = world.nowMs();
      resolve(name);
    } else if (world.nowMs() - firstMs > SAME_MS) {
      // Nothing that could wait for a reader stands between it and the end.
      world.exit(STATUS[name]);
    }
  };
  world.on("SIGINT", () => stop("SIGINT"));
  world.on("SIGTERM", () => stop("SIGTERM"));
  world.on("SIGHUP", () => (hangUpStops ? stop("SIGHUP") : reload()));
  return {
    stop: promise,
    onReload(call) {
      reload = call;
    },
  };
}
