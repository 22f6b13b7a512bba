/**
 * HEADs: the owner's periodic word on where its channels stand.
 *
 * Beside the path: shard -> HEADS -> bus. Invariant: a HEAD goes out at least every HEAD_MS for as long as the shard is
 * held; each names the channels that changed since the one before it, every FULL_EVERY-th all of them.
 */
import type { Bus, Head, ShardHeader } from "../bus/bus.ts";
import type { Kind } from "../channel/types.ts";
import type { Chain } from "./chain.ts";

export const HEAD_MS = 500;
export const FULL_EVERY = 10;

export interface HeadsPorts {
  readonly bus: Pick<Bus, "head">;
  readonly header: () => ShardHeader;
  readonly offset: () => number | null;
  /** Name of the source's state. */
  readonly source: () => string;
  readonly provides: readonly Kind[];
  /** Those published on since it was asked last. */
  readonly changed: () => Iterable<Chain>;
  readonly all: () => Iterable<Chain>;
  /** Number of the newest change of its instruments; 0: it has none. */
  readonly instruments: () => number;
}

export class Heads {
  readonly #ports: HeadsPorts;
  #sinceFull = FULL_EVERY;

  constructor(ports: HeadsPorts) {
    this.#ports = ports;
  }

  /** The regular one. */
  tick(): void {
    this.send(this.#sinceFull >= FULL_EVERY);
  }

  send(full: boolean): void {
    const { bus, changed, all } = this.#ports;
    const chains = changed();
    this.#sinceFull = full ? 1 : this.#sinceFull + 1;
    bus.head(this.#make(full, full ? all() : chains));
  }

  /** Of this moment, with all channels, for whoever asked; it is none of the regular ones. */
  now(): Head {
    return this.#make(true, this.#ports.all());
  }

  #make(full: boolean, chains: Iterable<Chain>): Head {
    const { header, offset, source, provides } = this.#ports;
    const head = { ...header(), offset: offset(), source: source(), provides, full, last: lastOf(chains) };
    const instruments = this.#ports.instruments();
    return instruments === 0 ? head : { ...head, instruments };
  }
}

function lastOf(chains: Iterable<Chain>): Head["last"] {
  const last: [channel: string, user: string, seq: number][] = [];
  for (const { channel, user, lastSeq } of chains) if (lastSeq !== null) last.push([channel.name, user, lastSeq]);
  return last;
}
