/**
 * Native pushes: publications of one channel as payloads, put together by hand because this runs for each of them.
 *
 * On the path: engine rung -> ENCODE -> ring -> worker (which puts `{"channel":"<asked>",` before it).
 * Invariants: a payload begins right after the channel and ends the object; no line feed in it.
 */
import type { Candle, Depth, Gap, Item, Value } from "../../channel/types.ts";
import type { ChannelEncoder, EncoderFactory, Stamp } from "../encoder.ts";
import { candleText, contentText, depthText } from "./data.ts";

const STALE: readonly string[] = ['"type":"stale"}'];

export const nativeEncoder: EncoderFactory = (channel) => new NativeEncoder(contentText(channel.kind));

class NativeEncoder implements ChannelEncoder {
  private readonly content: (content: Value | Item) => string;

  constructor(content: (content: Value | Item) => string) {
    this.content = content;
  }

  delta(at: Stamp, depth: Depth): readonly string[] {
    return [`"type":"delta",${epochOf(at)}"prev":${at.prev},"from":${at.from},${tailOf(at)}${depthText(depth)}}`];
  }

  /** `prev` only in the chain: that is how a client tells a repair from the answer to its subscribe. */
  snapshot(at: Stamp, book: Depth, repair: Depth | null): readonly string[] {
    const prev = repair === null ? "" : `"prev":${at.prev},`;
    return [`"type":"snapshot",${epochOf(at)}${prev}${tailOf(at)}${depthText(book)}}`];
  }

  value(at: Stamp, value: Value): readonly string[] {
    return [`"type":"value",${epochOf(at)}"prev":${at.prev},${tailOf(at)}${this.content(value)}}`];
  }

  items(at: Stamp, items: readonly Item[]): readonly string[] {
    return [`"type":"items",${epochOf(at)}"prev":${at.prev},${tailOf(at)}${listOf(items, this.content)}}`];
  }

  candles(at: Stamp, candles: readonly Candle[]): readonly string[] {
    return [`"type":"value",${epochOf(at)}"prev":${at.prev},${tailOf(at)}${listOf(candles, candleText)}}`];
  }

  gap(at: Stamp, gap: Gap): readonly string[] {
    const { missed, reason } = gap;
    return [`"type":"gap",${epochOf(at)}"missed":${missed},"from":${at.from},"to":${at.seq},"reason":"${reason}"}`];
  }

  stale(): readonly string[] {
    return STALE;
  }
}

const epochOf = (at: Stamp): string => (at.epoch === null ? "" : `"epoch":${JSON.stringify(at.epoch)},`);

const tailOf = (at: Stamp): string => `"seq":${at.seq},"time":${at.time},"sentUs":${at.sentUs},"data":`;

function listOf<T>(list: readonly T[], text: (one: T) => string): string {
  if (list.length === 1) return `[${text(list[0]!)}]`;
  return `[${list.map(text).join(",")}]`;
}
