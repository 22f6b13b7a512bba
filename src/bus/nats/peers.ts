/**
 * What nodes say to each other beside publications: HEADs and who is there, what each wants, questions and answers.
 *
 * Beside the path: owners and followers -> PEERS (presence, wants, asking) -> outgoing, and back from the inbox.
 * Subjects: `tgc.<cluster>.heads`, `.ask`, `.wants` for all, `.answer.<node>` and `.wants.<node>` for one.
 * Invariants: a HEAD leaves behind the publications it speaks of, an answer behind those made before it, a question behind
 * what is wanted.
 */
import type { Clock } from "../../lib/clock.ts";
import type { Head, StateReply, StateRequest } from "../bus.ts";
import type { MemoryHub } from "../memory.ts";
import { controlSubject } from "../subject.ts";
import { Asking } from "./asking.ts";
import type { NatsBusCounters } from "./counters.ts";
import type { Inbox } from "./inbox.ts";
import type { NatsBusOptions } from "./options.ts";
import type { Outgoing } from "./outgoing.ts";
import { Presence } from "./presence.ts";
import { LEAVES, OtherWants, OwnWants, type WantsFrame } from "./wants.ts";
import type { HeadsFrame, Wire } from "./wire.ts";

export interface PeersOptions {
  readonly clock: Clock;
  /** Of this bus, not of the node: it is new after a restart. */
  readonly node: string;
  readonly wire: Wire;
  readonly hub: MemoryHub;
  readonly inbox: Inbox;
  readonly outgoing: Outgoing;
  readonly counters: NatsBusCounters;
  /** There is a connection. */
  readonly connected: () => boolean;
  readonly settings: NatsBusOptions;
}

const JOIN_MS = 300;

export class Peers {
  readonly #options: PeersOptions;
  readonly #subjects: Readonly<Record<"heads" | "ask" | "wants", string>>;
  readonly #joinMs: number;
  readonly #presence: Presence;
  readonly #asking: Asking;
  readonly #own: OwnWants;
  readonly #others: OtherWants;
  #serves = 0;

  /** Throws GatewayError BAD_SUBJECT (cluster name). */
  constructor(options: PeersOptions) {
    this.#options = options;
    const { clock, node, settings } = options;
    this.#subjects = { heads: this.#subject("heads"), ask: this.#subject("ask"), wants: this.#subject("wants") };
    this.#joinMs = settings.joinMs ?? JOIN_MS;
    const told = { clock, node, send: (frame: WantsFrame, to: string | null) => this.#sayWants(frame, to) };
    this.#own = new OwnWants(told);
    this.#others = new OtherWants(told);
    this.#presence = this.#makePresence();
    this.#asking = this.#makeAsking();
    this.#listen();
  }

  /** Other nodes that serve shards. */
  get nodes(): number {
    return this.#presence.serving.size;
  }

  get requestsOpen(): number {
    return this.#asking.open;
  }

  up(): void {
    this.#others.up(this.#joinMs);
    this.#own.up();
    this.#presence.say(true);
    this.#asking.up();
  }

  down(): void {
    this.#own.down();
    this.#asking.down();
  }

  /** The last word: this node serves and wants nothing any more. */
  leave(): void {
    this.#presence.say(false, 0, LEAVES);
  }

  close(): void {
    this.#presence.close();
    this.#asking.close();
  }

  // --- owners -----------------------------------------------------------------------------------------------------

  /** Another node wants the topic, or has not said yet what it wants. */
  wanted(topic: string): boolean {
    return this.#others.wanted(topic);
  }

  head(head: Head): void {
    this.#presence.add(head);
  }

  /** HEADs that wait leave now. */
  flush(): void {
    this.#presence.flush();
  }

  /** One more shard is served here. */
  served(): void {
    this.#serves++;
    if (this.#serves === 1) this.#presence.say(false);
    queueMicrotask(() => this.#asking.again());
  }

  unserved(): void {
    this.#serves--;
    if (this.#serves === 0) this.#presence.say(false);
  }

  // --- receivers --------------------------------------------------------------------------------------------------

  want(topic: string): void {
    this.#own.enter(topic);
  }

  unwant(topic: string): void {
    this.#own.leave(topic);
  }

  request(request: StateRequest): Promise<StateReply | null> {
    return this.#asking.request(request);
  }

  headOf(shard: string, timeoutMs: number): Promise<Head> {
    return this.#asking.headOf(shard, timeoutMs);
  }

  /** An owner has said lately that this is the numbering of one of its shards. */
  isCurrent(epoch: string): boolean {
    return this.#presence.isCurrent(epoch);
  }

  // --- what is said and heard -------------------------------------------------------------------------------------

  #makePresence(): Presence {
    const { clock, node, wire, outgoing, settings } = this.#options;
    return new Presence({
      clock,
      node,
      lingerMs: settings.headLingerMs ?? 20,
      serves: () => this.#serves,
      wants: () => this.#own.version,
      heard: (other, version) => this.#others.hear(other, version),
      greeted: (other) => this.#own.tellAll(other),
      tick: () => this.#others.sweep(),
      send: (frame) => {
        outgoing.flush();
        this.#own.flush();
        const wants = frame.wants === LEAVES ? LEAVES : this.#own.version;
        outgoing.say(this.#subjects.heads, wire.heads({ ...frame, wants }));
      },
      begun: () => this.#asking.again(),
      gone: () => this.#asking.judge(),
    });
  }

  #makeAsking(): Asking {
    const { clock, node, wire, hub, outgoing, counters, connected, settings } = this.#options;
    return new Asking({
      clock,
      node,
      hub,
      presence: this.#presence,
      counters,
      timeoutMs: settings.requestTimeoutMs ?? 1000,
      joinMs: this.#joinMs,
      ask: (frame) => {
        // What is published behind the answer comes too.
        this.#own.flush();
        outgoing.say(this.#subjects.ask, wire.ask(frame));
        return connected();
      },
      answer: (other, frame) => {
        outgoing.flush();
        outgoing.say(this.#subject(`answer.${other}`), wire.answer(frame));
      },
    });
  }

  #listen(): void {
    const { node, inbox, wire } = this.#options;
    const { heads, ask, wants } = this.#subjects;
    inbox.listen(heads, wire.readHeads, (frame) => this.#heard(frame));
    for (const subject of [wants, this.#subject(`wants.${node}`)]) {
      inbox.listen(subject, wire.readWants, (frame) => this.#toldWants(frame));
    }
    inbox.listen(ask, wire.readAsk, (frame) => this.#asking.asked(frame));
    inbox.listen(this.#subject(`answer.${node}`), wire.readAnswer, (frame) => this.#asking.answered(frame));
  }

  #sayWants(frame: WantsFrame, to: string | null): void {
    const { wire, outgoing } = this.#options;
    outgoing.say(to === null ? this.#subjects.wants : this.#subject(`wants.${to}`), wire.wants(frame));
  }

  #heard(frame: HeadsFrame): void {
    this.#presence.hear(frame);
    for (const head of frame.heads) this.#options.hub.deliverHead(head);
  }

  #toldWants(frame: WantsFrame): void {
    if (frame.asks === this.#options.node) this.#own.tellAll(frame.node);
    this.#others.take(frame);
  }

  #subject(what: string): string {
    return controlSubject(this.#options.settings.cluster, what);
  }
}
