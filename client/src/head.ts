/**
 * The head of a push, everything before `"data"`, read without parsing the rest: what a chain, a counter and a stop
 * watch need. For programs that check very many subscriptions.
 *
 * On the path: socket -> HEAD -> chain.
 * Invariants: one `Head` is filled again and again, it copies nothing but a new epoch; it never throws. A push that is not written as the node writes it (white space, escapes) is read by
 * JSON.parse. `data` is the last field, as in every push of the node.
 */
import { type ChannelPush, readFrame } from "./frames.ts";

const QUOTE = 34;
const COMMA = 44;
const ZERO = 48;
const NINE = 57;

const TYPES: Readonly<Record<string, ChannelPush["type"]>> = {
  snapshot: "snapshot",
  delta: "delta",
  value: "value",
  items: "items",
  gap: "gap",
  stale: "stale",
  cadence: "cadence",
};

export class Head {
  /** A part of the frame: copy it to keep it. */
  channel = "";
  type: ChannelPush["type"] = "stale";
  epoch: string | undefined;
  /** undefined: not written, as in a snapshot that answers a subscribe. */
  prev: number | null | undefined;
  /** Of a gap its end; 0 where there is none (stale, cadence). */
  seq = 0;
  /** First publication merged into it, or first one missing; 0 if not written. */
  from = 0;
  time = 0;
  sentUs = 0;
  /** Of a gap. */
  missed: number | null = null;
  /** Of a change of cadence. */
  ms = 0;
  /** Of a gap and a change of cadence. */
  reason = "";
  /** Where the data begins in the frame; -1: it has none. */
  dataAt = -1;

  #text = "";
  #at = 0;
  #epochKept = "";

  /** Of a gap: the position behind it. */
  get to(): number {
    return this.seq;
  }

  /** Reads a push of a channel; false for anything else (replies, `drain`): those are for `readFrame`. */
  read(text: string): boolean {
    if (!text.startsWith('{"channel":"')) return text.includes('"channel"') && this.#whole(text);
    this.#clear(text);
    const fast = this.#fields();
    this.#text = "";
    return fast || this.#whole(text);
  }

  #clear(text: string): void {
    this.#text = text;
    this.#at = 1;
    this.channel = "";
    this.epoch = undefined;
    this.prev = undefined;
    this.seq = 0;
    this.from = 0;
    this.time = 0;
    this.sentUs = 0;
    this.missed = null;
    this.ms = 0;
    this.reason = "";
    this.dataAt = -1;
  }

  /** False at anything unexpected. */
  #fields(): boolean {
    const text = this.#text;
    let typed = false;
    for (;;) {
      const name = this.#string();
      if (name === null || text[this.#at] !== ":") return false;
      this.#at += 1;
      if (name === "data") {
        this.dataAt = this.#at;
        return typed;
      }
      if (text.charCodeAt(this.#at) === QUOTE) {
        const value = this.#string();
        if (value === null) return false;
        if (name === "type") {
          const type = TYPES[value];
          if (type === undefined) return false;
          this.type = type;
          typed = true;
        } else if (name === "channel") this.channel = value;
        else if (name === "epoch") this.epoch = this.#kept(value);
        else if (name === "reason") this.reason = value;
      } else {
        const value = this.#number();
        if (value === undefined) return false;
        this.#set(name, value);
      }
      if (text.charCodeAt(this.#at) !== COMMA) return typed && text[this.#at] === "}" && this.#at === text.length - 1;
      this.#at += 1;
    }
  }

  #set(name: string, value: number | null): void {
    if (name === "prev") this.prev = value;
    else if (name === "missed") this.missed = value;
    else if (value === null) return;
    else if (name === "seq" || name === "to") this.seq = value;
    else if (name === "time") this.time = value;
    else if (name === "sentUs") this.sentUs = value;
    else if (name === "from") this.from = value;
    else if (name === "ms") this.ms = value;
  }

  /** A string without escapes; null for any other. */
  #string(): string | null {
    const text = this.#text;
    if (text.charCodeAt(this.#at) !== QUOTE) return null;
    const end = text.indexOf('"', this.#at + 1);
    if (end < 0) return null;
    const value = text.slice(this.#at + 1, end);
    this.#at = end + 1;
    return value.includes("\\") ? null : value;
  }

  /** The epoch as a string of its own: engines keep a whole frame alive for a part of it, and a chain keeps its epoch. */
  #kept(epoch: string): string {
    if (epoch !== this.#epochKept) this.#epochKept = JSON.parse(`"${epoch}"`) as string;
    return this.#epochKept;
  }

  /** A whole number or null; undefined for anything else. */
  #number(): number | null | undefined {
    const text = this.#text;
    const start = this.#at;
    if (text.startsWith("null", start)) {
      this.#at += 4;
      return null;
    }
    let value = 0;
    for (;;) {
      const code = text.charCodeAt(this.#at);
      if (!(code >= ZERO && code <= NINE)) break;
      value = value * 10 + (code - ZERO);
      this.#at += 1;
    }
    return this.#at === start ? undefined : value;
  }

  #whole(text: string): boolean {
    const read = readFrame(text);
    if (read === null || !("push" in read) || read.push.type === "drain") return false;
    this.#clear("");
    const { push } = read;
    const { channel, type, epoch, prev, seq, to, from, time, sentUs, missed, ms, reason } = push as Partial<Head> & {
      readonly channel: string;
      readonly type: ChannelPush["type"];
    };
    this.channel = channel;
    this.type = type;
    this.epoch = epoch;
    this.prev = prev;
    this.seq = seq ?? to ?? 0;
    this.from = from ?? 0;
    this.time = time ?? 0;
    this.sentUs = sentUs ?? 0;
    this.missed = missed ?? null;
    this.ms = ms ?? 0;
    this.reason = reason ?? "";
    if ("data" in push) this.dataAt = text.indexOf('"data":') + 7;
    return true;
  }
}
