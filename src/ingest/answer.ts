/**
 * The owner's answer to a state request: the chain behind `since` if it can be had, else the state at the last seq.
 *
 * On the path: bus request -> ANSWER -> the asking node's engine.
 */
import type { ShardHeader, StateReply, StateRequest } from "../bus/bus.ts";
import type { Kind, Publication } from "../channel/types.ts";
import type { Chain } from "./chain.ts";

export function answer(
  request: StateRequest,
  chain: Chain,
  header: ShardHeader,
  provides: readonly Kind[],
): StateReply {
  const { keeper, lastSeq } = chain;
  const after = behind(request, chain, header.epoch);
  return {
    ...header,
    channel: chain.channel.name,
    user: chain.user,
    seq: lastSeq,
    provides,
    after,
    state: after === null && lastSeq !== null ? keeper.state() : null,
    time: chain.time,
    history: lastSeq === null ? [] : keeper.history(chain),
    stale: keeper.stale,
  };
}

/** Null if there is no unbroken chain from `since`: another epoch, a seq that is not ours, or history does not reach. */
function behind({ since }: StateRequest, chain: Chain, epoch: string): readonly Publication[] | null {
  const { lastSeq } = chain;
  if (since === null || since.epoch !== epoch || lastSeq === null || since.seq > lastSeq) return null;
  return since.seq === lastSeq ? [] : chain.keeper.after(since.seq, chain);
}
