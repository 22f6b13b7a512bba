/**
 * A chain: one channel (of one user) as its owner keeps it: its numbers, and by family what there is to keep.
 *
 * On the path: pipeline -> CHAIN; read by the answers to state requests, HEADs and checkpoints.
 * Invariants: `lastSeq` rises with every publication whether anybody wants it or not; a keeper's state is always the one
 * at `lastSeq`.
 */
import type { Channel } from "../channel/channel.ts";
import type { Body, Publication } from "../channel/types.ts";
import type { SavedKeeper } from "./checkpoint.ts";
import type { MappedUpdate } from "./mapper/mapper.ts";

export interface Keeper {
  /** Every publication must be built for `remember`, also when nobody wants it. */
  readonly remembers: boolean;
  /** Not to be trusted until the next snapshot. */
  readonly stale: boolean;
  /** Takes an update in at `seq`; what is to be published, or null for nothing. */
  take(update: MappedUpdate, seq: number): Body | null;
  /** Items are held back because a gap had to be published before them: `pay` gives them out with the next record. */
  readonly owes?: boolean;
  pay?(): Body | null;
  /** The source lost its connection: what is to be published about it, or null. */
  lost(): Body | null;
  /** A record that nobody can read may have been of this chain: what is to be published about it, or null. */
  doubted?(): Body | null;
  remember(publication: Publication): void;
  /** The whole state; null if the family has none, or there was nothing yet. */
  state(): Body | null;
  /** Publications behind `since` as an unbroken chain up to `chain.lastSeq`; null if that cannot be had. */
  after(since: number, chain: Chain): readonly Publication[] | null;
  /** The unbroken chain that is kept, up to `chain.lastSeq`. */
  history(chain: Chain): readonly Publication[];
  save(): SavedKeeper;
}

/** A channel is fed by one shard only; private ones are told apart by user as well. */
export const chainKey = (channel: string, user: string): string => (user === "" ? channel : `${channel}|${user}`);

export class Chain {
  readonly key: string;
  readonly channel: Channel;
  readonly user: string;
  /** Fanout topic. */
  readonly topic: string;
  keeper: Keeper;
  lastSeq: number | null = null;
  /** Source time of the last publication. */
  time = 0;
  receivedUs = 0;
  /** Published on since the last HEAD. */
  changed = false;
  /** Its instrument's tick and lot are inferred from what passes here. */
  infers: boolean;

  constructor(channel: Channel, user: string, topic: string, keeper: Keeper) {
    this.key = chainKey(channel.name, user);
    this.channel = channel;
    this.user = user;
    this.topic = topic;
    this.keeper = keeper;
    this.infers = channel.instrument?.inferred ?? false;
  }

  /** A publication of this chain, from `prev` to `seq`. */
  publication(body: Body, seq: number, prev: number | null): Publication {
    const { channel, user, time, receivedUs } = this;
    // The union of bodies cannot be followed through an object literal.
    const publication = {
      channel: channel.name,
      kind: channel.kind,
      user,
      time,
      type: body.type,
      data: body.data,
      seq,
      prev,
      receivedUs,
    };
    return publication as Publication;
  }
}
