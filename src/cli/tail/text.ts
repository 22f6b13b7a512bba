/** Pushes as lines of text. */
import type { ChannelPush, DataPush } from "../../../client/src/frames.ts";

const pad2 = (n: number): string => String(n).padStart(2, "0");

/** Local time of day, `14:03:59.120`. */
export function timeOfDay(ms: number): string {
  const at = new Date(ms);
  const seconds = `${pad2(at.getHours())}:${pad2(at.getMinutes())}:${pad2(at.getSeconds())}`;
  return `${seconds}.${String(at.getMilliseconds()).padStart(3, "0")}`;
}

/** `12.3 ms`, `4.1 s`. */
export function duration(ms: number): string {
  if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`;
  return `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;
}

type Fields = Readonly<Record<string, unknown>>;
const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** One item or value on one line. */
export function describe(content: unknown): string {
  if (!isFields(content)) return JSON.stringify(content) ?? "";
  const { side, price, quantity, bid, ask, interval } = content;
  if (typeof side === "string" && typeof price === "string") {
    const rest = others(content, ["side", "price", "quantity", "time"]);
    return `${side.padEnd(4)} ${price} x ${quantity} ${rest}`.trimEnd();
  }
  if (typeof bid === "string" && typeof ask === "string") {
    return `bid ${bid} x ${content.bidQuantity}  ask ${ask} x ${content.askQuantity}`;
  }
  if (typeof interval === "string") return candle(content);
  return others(content, []);
}

function candle({ interval, openTime, open, high, low, close, volume, count, closed }: Fields): string {
  const from = new Date(Number(openTime)).toISOString().slice(0, 16).replace("T", " ");
  return `${interval} from ${from}Z  o ${open}  h ${high}  l ${low}  c ${close}  v ${volume}  n ${count}${closed ? "  closed" : ""}`;
}

/** A long text of JSON topics is cut: `--json` has it whole. */
const TEXT_MAX = 60;

function others(content: Fields, without: readonly string[]): string {
  return Object.entries(content)
    .filter(([field]) => !without.includes(field))
    .map(([field, value]) => {
      const text = typeof value === "string" ? value : JSON.stringify(value);
      return `${field} ${text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)}...` : text}`;
    })
    .join("  ");
}

/** The best of the book behind a push, as the plain form of `tail` shows it. */
export interface Top {
  readonly bid: readonly [price: string, quantity: string] | null;
  readonly ask: readonly [price: string, quantity: string] | null;
}

/** A push as lines for a pipe or a log. `top` is the book's after a book push. */
export function plainLines(push: ChannelPush, top: Top | null): string[] {
  const { channel } = push;
  if (push.type === "stale") return [`${channel} STALE: not to be trusted until the next snapshot`];
  if (push.type === "cadence") return [`${channel} now every ${push.ms} ms (${push.reason})`];
  if (push.type === "gap") return [`${channel} GAP ${gapText(push)}`];
  const at = `${timeOfDay(push.time)} ${channel}`;
  if (push.type === "items")
    return push.data.map((item) => `${timeOfDay(itemTime(item, push))} ${channel} ${describe(item)}`);
  if (push.type === "value" && Array.isArray(push.data)) return push.data.map((one) => `${at} ${describe(one)}`);
  if (push.type === "value" && !isDepth(push.data)) return [`${at} ${describe(push.data)}`];
  const levels = isDepth(push.data) ? ` ${push.data.bids.length}+${push.data.asks.length} levels` : "";
  const side = (level: Top["bid"]): string => (level === null ? "-" : `${level[0]} x ${level[1]}`);
  const best = top ?? topOf(push);
  return [`${at} ${push.type} seq ${push.seq}${levels}  bid ${side(best.bid)}  ask ${side(best.ask)}`];
}

export const gapText = (gap: Extract<ChannelPush, { type: "gap" }>): string =>
  `${gap.missed ?? "an unknown number of"} missing, ${gap.from} to ${gap.to} (${gap.reason})`;

const itemTime = (item: unknown, push: DataPush): number =>
  isFields(item) && typeof item.time === "number" ? item.time : push.time;

interface Levels {
  readonly bids: readonly (readonly [string, string])[];
  readonly asks: readonly (readonly [string, string])[];
}

/** Content with two sides: a book, or the top of one. */
export const isDepth = (content: unknown): content is Levels =>
  isFields(content) && Array.isArray(content.bids) && Array.isArray(content.asks);

const topOf = (push: DataPush): Top =>
  isDepth(push.data) ? { bid: push.data.bids[0] ?? null, ask: push.data.asks[0] ?? null } : { bid: null, ask: null };
