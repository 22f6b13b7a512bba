/**
 * What goes to the node for the streams: subscribe, unsubscribe, resync, cadence; as few commands as possible, and no
 * faster than the node takes them.
 *
 * On the path: streams (what they want) -> OUTBOUND -> commands -> connection; replies go back to the streams.
 * Invariants: what is to be sent is a state, not a queue: it is bounded by the number of subscriptions. A name that is
 * being left is subscribed again only behind that, and its pushes are nobody's until the node has confirmed it.
 * At the limit: a command has at most NAMES_MAX names and FRAME_MAX characters (a node takes 1,024 and 64 KiB).
 */
import type { Clock } from "./clock.ts";
import type { Commands } from "./commands.ts";
import { isPassing, NOT_SUBSCRIBED, refusal, TOO_MANY_COMMANDS } from "./errors.ts";
import type { Outcome, Position, Reply } from "./frames.ts";
import type { Stream } from "./stream.ts";

const NAMES_MAX = 1000;
const FRAME_MAX = 32_000;
/** The reply did not mention it. */
const UNANSWERED_MS = 1000;

export class Outbound {
  readonly #clock: Clock;
  readonly #odd: (reply: Reply) => void;
  #commands: Commands | null = null;
  readonly #dirty = new Set<Stream>();
  /** Names to unsubscribe, and how many unsubscribes of a name are not confirmed yet. */
  readonly #toLeave = new Set<string>();
  readonly #leaving = new Map<string, number>();
  #scheduled = false;
  #cancel: () => void = () => undefined;

  /** `odd`: a refusal that no stream is concerned with. */
  constructor(clock: Clock, odd: (reply: Reply) => void) {
    this.#clock = clock;
    this.#odd = odd;
  }

  /** A connection is open: everything is to be subscribed on it. */
  begin(commands: Commands, streams: Iterable<Stream>): void {
    this.stop();
    this.#commands = commands;
    for (const stream of streams) this.#dirty.add(stream);
    this.#flush();
  }

  /** There is none. */
  stop(): void {
    this.#commands = null;
    this.#dirty.clear();
    this.#toLeave.clear();
    this.#leaving.clear();
    this.#cancel();
  }

  /** Something is to be sent for it; what is asked in one turn goes together. */
  wants(stream: Stream): void {
    this.#dirty.add(stream);
    this.#schedule();
  }

  left(stream: Stream): void {
    this.#dirty.delete(stream);
    if (this.#commands === null || stream.phase === "idle") return;
    this.#toLeave.add(stream.channel);
    this.#schedule();
  }

  /** Pushes of this name belong to a subscription that was ended. */
  isLeaving(channel: string): boolean {
    return this.#leaving.has(channel) || this.#toLeave.has(channel);
  }

  #schedule(): void {
    if (this.#scheduled || this.#commands === null) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#flush();
    });
  }

  #flush(): void {
    const commands = this.#commands;
    if (commands === null) return;
    this.#cancel();
    for (const stream of this.#dirty) this.#reopen(stream);
    while (this.#sendOne(commands));
    const waitMs = this.#waitMs(commands);
    if (waitMs !== null) this.#cancel = this.#clock.after(waitMs, () => this.#flush());
  }

  /** One command, if there is one to send and it may go. */
  #sendOne(commands: Commands): boolean {
    if (commands.roomInMs > 0) return false;
    if (this.#toLeave.size > 0) {
      this.#leave(commands);
      return true;
    }
    const now = this.#clock.nowMs();
    for (const stream of this.#dirty) {
      if (!isDue(stream, now)) continue;
      if (stream.phase === "idle") this.#subscribe(commands, stream.cadenceWanted, now);
      else this.#ask(commands, stream);
      return true;
    }
    return false;
  }

  /** How long until there is something to do; null: nothing is. */
  #waitMs(commands: Commands): number | null {
    const now = this.#clock.nowMs();
    let ms: number | null = this.#toLeave.size > 0 ? 0 : null;
    for (const stream of this.#dirty) {
      if (stream.phase === "idle") ms = Math.min(ms ?? Number.POSITIVE_INFINITY, Math.max(0, stream.notBeforeMs - now));
      else if (stream.phase === "running" && stream.wanted.size > 0) ms = 0;
    }
    return ms === null ? null : Math.max(ms, commands.roomInMs);
  }

  // --- unsubscribe ------------------------------------------------------------------------------------------------------

  /** A chain that has a hole: the subscription is ended and begun again where it stood. */
  #reopen(stream: Stream): void {
    if (!stream.wanted.delete("reopen")) return;
    if (stream.phase === "running" || stream.phase === "asked") this.#toLeave.add(stream.channel);
    stream.phase = "idle";
  }

  #leave(commands: Commands): void {
    const channels = takeNames(this.#toLeave);
    for (const channel of channels) this.#leaving.set(channel, (this.#leaving.get(channel) ?? 0) + 1);
    commands.ask({ op: "unsubscribe", channels }, (reply) => {
      const isRefused = reply.error !== undefined;
      if (isRefused) this.#refusedForNow(commands, reply);
      for (const channel of channels) {
        const left = (this.#leaving.get(channel) ?? 1) - 1;
        if (left > 0) this.#leaving.set(channel, left);
        else this.#leaving.delete(channel);
        if (isRefused && reply.error.code === TOO_MANY_COMMANDS) this.#toLeave.add(channel);
      }
      this.#schedule();
    });
  }

  // --- subscribe --------------------------------------------------------------------------------------------------------

  #subscribe(commands: Commands, cadence: number | null, now: number): void {
    const streams: Stream[] = [];
    const since: Record<string, Position> = {};
    let size = 0;
    for (const stream of this.#dirty) {
      if (stream.phase !== "idle" || stream.cadenceWanted !== cadence || !isDue(stream, now)) continue;
      const position = stream.sinceToSend();
      size += stream.channel.length * (position === null ? 1 : 2) + 3 + (position === null ? 0 : 120);
      if (streams.length > 0 && (size > FRAME_MAX || streams.length >= NAMES_MAX)) break;
      streams.push(stream);
      if (position !== null) since[stream.channel] = position;
    }
    const fields = {
      op: "subscribe",
      channels: streams.map(({ channel }) => channel),
      ...(cadence === null ? {} : { cadence }),
      ...(Object.keys(since).length === 0 ? {} : { since }),
    };
    const asked = commands.ask(fields, (reply, id) => this.#subscribed(commands, streams, reply, id));
    for (const stream of streams) {
      stream.phase = "asked";
      stream.askedId = asked;
      stream.wanted.delete("cadence");
      if (stream.wanted.size === 0) this.#dirty.delete(stream);
    }
  }

  #subscribed(commands: Commands, streams: readonly Stream[], reply: Reply, id: number): void {
    const outcomes = outcomesOf(reply);
    const errors = new Map((reply.errors ?? []).map((error) => [error.channel, error]));
    const whole = reply.channels === undefined ? reply.error : undefined;
    if (whole?.code === TOO_MANY_COMMANDS) commands.refused();
    for (const stream of streams) {
      const { channel } = stream;
      if (stream.phase !== "asked" || stream.askedId !== id) continue;
      const outcome = outcomes.get(channel);
      const error =
        errors.get(channel) ?? (whole?.channel === undefined || whole.channel === channel ? whole : undefined);
      if (outcome !== undefined) {
        stream.running(outcome);
        if (stream.wanted.size > 0) this.wants(stream);
      } else if (error !== undefined) stream.refused(refusal(error, channel));
      else stream.askAgainIn(whole === undefined ? UNANSWERED_MS : 0);
    }
  }

  // --- resync, cadence --------------------------------------------------------------------------------------------------

  #ask(commands: Commands, stream: Stream): void {
    const { channel } = stream;
    if (stream.wanted.delete("resync")) {
      commands.ask({ op: "resync", channel }, (reply) => this.#resynced(commands, stream, reply));
    } else if (stream.wanted.delete("cadence")) {
      const ms = stream.cadenceWanted ?? 0;
      commands.ask({ op: "cadence", channel, ms }, (reply) => this.#paced(commands, stream, reply));
    }
    if (stream.wanted.size === 0) this.#dirty.delete(stream);
  }

  #resynced(commands: Commands, stream: Stream, reply: Reply): void {
    if (stream.phase !== "running") return;
    const outcome = outcomesOf(reply).get(stream.channel);
    const error = reply.error ?? reply.errors?.[0];
    if (outcome !== undefined) stream.resynced(outcome);
    else if (error?.code === NOT_SUBSCRIBED) stream.askAgainIn(0);
    else {
      // Whatever else it says, the book is still wrong.
      this.#refusedForNow(commands, reply);
      stream.wanted.add("reopen");
      this.#clock.after(UNANSWERED_MS, () => this.wants(stream));
    }
  }

  #paced(commands: Commands, stream: Stream, reply: Reply): void {
    const { error } = reply;
    if (stream.phase === "over") return;
    if (error === undefined) stream.paced(reply.cadence ?? stream.cadenceWanted ?? 0);
    else if (isPassing(error.code)) {
      this.#refusedForNow(commands, reply);
      stream.wanted.add("cadence");
      this.wants(stream);
    } else if (!stream.cadenceRefused(refusal(error, stream.channel))) this.#odd(reply);
  }

  #refusedForNow(commands: Commands, reply: Reply): void {
    const { error } = reply;
    if (error?.code === TOO_MANY_COMMANDS) commands.refused();
    else if (error !== undefined) this.#odd(reply);
  }
}

const isDue = (stream: Stream, now: number): boolean =>
  stream.phase === "idle" ? stream.notBeforeMs <= now : stream.phase === "running" && stream.wanted.size > 0;

function takeNames(names: Set<string>): string[] {
  const taken: string[] = [];
  let size = 0;
  for (const name of names) {
    size += name.length + 3;
    if (taken.length > 0 && (size > FRAME_MAX || taken.length >= NAMES_MAX)) break;
    taken.push(name);
    names.delete(name);
  }
  return taken;
}

function outcomesOf({ channels }: Reply): Map<string, Outcome> {
  if (channels === undefined || Array.isArray(channels)) return new Map();
  return new Map(Object.entries(channels as Readonly<Record<string, Outcome>>));
}
