/** Waiting for a channel's state to come to a position that its owner has named. */
import type { Position } from "../channel/types.ts";
import type { Clock } from "../lib/clock.ts";
import type { ChannelState } from "./channel-state.ts";

/** True once the state stands at `seq` of that epoch or behind it, and can be trusted; false after `ms`. */
export function reached(state: ChannelState, { epoch, seq }: Position, clock: Clock, ms: number): Promise<boolean> {
  const isThere = (): boolean => state.header.epoch === epoch && (state.seq ?? -1) >= seq;
  if (isThere()) return Promise.resolve(state.staleReason === null);
  return new Promise((resolve) => {
    const look = (): void => {
      if (!isThere()) return;
      timer.cancel();
      listening.close();
      resolve(state.staleReason === null);
    };
    const timer = clock.after(ms, () => {
      listening.close();
      resolve(false);
    });
    const nothing = (): void => undefined;
    const listener = { reset: look, changed: look, stale: nothing, fresh: look, unavailable: nothing };
    const listening = state.listen(listener);
  });
}
