/** For tests of the watchdog: makes this worker fail in one of the ways a worker can. */
import type { MainToEdge } from "../ring/messages.ts";

export function misbehave(fault: (MainToEdge & { is: "inject" })["fault"], ms: number): void {
  switch (fault) {
    case "throw":
      setTimeout(() => {
        throw new Error("injected fault");
      }, 0);
      return;
    case "spin": {
      const end = performance.now() + ms;
      while (performance.now() < end);
      return;
    }
    case "stall":
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  }
}
