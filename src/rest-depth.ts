/**
 * Books for REST that are not behind any node's streams (DESIGN 10).
 *
 * On the path: REST request -> REST DEPTH -> the engine's book. A book that is fed here is as new as anybody's. For one that
 * another node owns, the owner is asked where it stands, and the answer waits until this node's book has come so far; what
 * the bus has lost on the way there is healed at once.
 * At the limit: WAIT_MS in all; then the book is unavailable, and the request is answered 503.
 */
import type { Head } from "./bus/bus.ts";
import type { FreshHeads } from "./bus/fresh-heads.ts";
import type { DepthBody, DepthReply } from "./engine/depth.ts";
import type { Clock } from "./lib/clock.ts";

export interface RestDepthPorts {
  readonly engine: {
    depth(channel: string, limit: number, atLeast?: number): Promise<DepthReply>;
    reaches(channel: string, position: { readonly epoch: string; readonly seq: number }, ms: number): Promise<boolean>;
  };
  /** The shard that feeds a channel, and the token with which it does; null while that is not known. */
  readonly shardOf: (channel: string) => { readonly shard: string; readonly token: number } | null;
  /** It is this node that feeds the shard with this token: not one that begins to, nor one that was overtaken. */
  readonly isOwn: (shard: string, token: number) => boolean;
  readonly heads: Pick<FreshHeads, "of">;
  /** What an owner has said goes to the follower too, which would hear it with the next regular HEAD only. */
  readonly heard: (head: Head) => void;
  readonly clock: Pick<Clock, "monotonicMs">;
}

const WAIT_MS = 300;

export class RestDepth {
  readonly #ports: RestDepthPorts;

  constructor(ports: RestDepthPorts) {
    this.#ports = ports;
  }

  /** Null: there is none that may be trusted now. */
  async of(channel: string, limit: number): Promise<DepthBody | null> {
    const { engine, shardOf, isOwn, heads, heard, clock } = this.#ports;
    const endMs = clock.monotonicMs() + WAIT_MS;
    const here = await engine.depth(channel, limit);
    if (here.is !== "depth") return null;
    const feeding = shardOf(channel);
    if (feeding === null || isOwn(feeding.shard, feeding.token)) return here.body;
    const leftMs = (): number => Math.max(0, endMs - clock.monotonicMs());
    const head = await heads.of(feeding.shard, leftMs());
    const last = head?.last.find(([name, user]) => name === channel && user === "");
    if (head === null || last === undefined) return null;
    const [, , seq] = last;
    // Whatever was published before the owner spoke has come before its word, or is lost.
    heard({ ...head, full: false, last: [last] });
    if (!(await engine.reaches(channel, { epoch: head.epoch, seq }, leftMs()))) return null;
    const reply = await engine.depth(channel, limit, seq);
    return reply.is === "depth" ? reply.body : null;
  }
}
