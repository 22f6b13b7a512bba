/** What of an owner's reply continues a chain from where the asker stands. */
import type { Publication } from "../channel/types.ts";
import type { StateReply } from "./bus.ts";

/**
 * The publications behind `last`, an unbroken chain up to the reply's seq; null if the reply does not reach back so far.
 * An owner that stands at or before `last` (it took over and still replays) has nothing that is missing: empty.
 * For a reply of the same epoch only.
 */
export function continuation(reply: StateReply, last: number | null): readonly Publication[] | null {
  if (reply.seq === null || (last !== null && reply.seq <= last)) return [];
  // Without a whole state the history is all there is; it continues the chain if it reaches back to it.
  const known = reply.after ?? (reply.state === null ? reply.history : []);
  const missing = last === null ? known : known.filter((p) => p.seq > last);
  let position = last;
  for (const p of missing) {
    if (p.prev !== position) return null;
    position = p.seq;
  }
  return position === reply.seq ? missing : null;
}
