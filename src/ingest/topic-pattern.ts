/**
 * The source topic of a mapping as a pattern: which concrete topics it stands for, and which symbol each of them says.
 *
 * Beside the path: mapping -> PATTERN -> broker, and record -> PATTERN -> route mapper. Pure but for the instruments, which
 * are asked each time. `{symbol}` in a topic is any spelling of a symbol without dots and colons (`btcusdt`, `BTC-USDT`);
 * in `topics()` it is the symbol as in channel names. In NATS subjects `*` and `>` stand for words as there.
 */
import { symbolOf } from "../channel/name.ts";
import type { TopicPattern } from "./broker.ts";

const SYMBOL = "{symbol}";
/** Letters and digits, with single separators between them that spellings have. */
const SPELLING = "([\\p{L}\\p{Nd}]+(?:[-_/][\\p{L}\\p{Nd}]+)*)";

/** What `{symbol}` may stand for. */
export interface Symbols {
  /** Whether there is such an instrument, or one may be learned. */
  has(symbol: string): boolean;
  /** Of all instruments known now. */
  list(): readonly string[];
}

/** `wildcards`: `*` and `>` are those of NATS, and not characters of the topic. */
export function createTopicPattern(text: string, symbols: Symbols, wildcards = false): TopicPattern {
  const isTemplate = text.includes(SYMBOL);
  const pattern = new RegExp(`^${regexOf(text, wildcards)}$`, "u");
  return {
    text,
    symbolOf(topic) {
      if (!isTemplate && topic === text) return "";
      const match = pattern.exec(topic);
      if (match === null) return null;
      const symbol = symbolOf(match[1] ?? "");
      return !isTemplate || symbols.has(symbol) ? symbol : null;
    },
    topics: () => (isTemplate ? symbols.list().map((symbol) => text.replace(SYMBOL, symbol)) : [text]),
  };
}

function regexOf(text: string, wildcards: boolean): string {
  return text
    .split(/(\{symbol\}|\*|>)/)
    .map((part) => {
      if (part === SYMBOL) return SPELLING;
      if (wildcards && part === "*") return "[^.]+";
      if (wildcards && part === ">") return ".+";
      return part.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
    })
    .join("");
}
