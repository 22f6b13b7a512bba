/**
 * The parameters of one request, read one by one and checked as Binance checks them.
 *
 * Invariants: a fault is thrown as a Refusal, the first one found; `end` comes after the last read and before any look-up.
 * At the limit: lists of symbols are as long as the request line allows; numbers have at most 20 digits.
 */
import { type Refusal, refuse } from "./replies.ts";

const SYMBOL_RANGE = "^[A-Z0-9-_.]{1,20}$";
/** Caseless letters too: some exchanges list tokens with Chinese names. */
const SYMBOL = /^[A-Z0-9\p{Lo}\-_.]{1,20}$/u;
const SYMBOLS_RANGE = '^\\["[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}\\]$';
const NUMBER_RANGE = "^[0-9]{1,20}$";
const NUMBER = /^[0-9]{1,20}$/;

/** What limits a list: `clamp` a bigger limit, or refuse it. */
export interface LimitRule {
  readonly normal: number;
  readonly most: number;
  readonly over: "clamp" | "refuse";
}

export class Query {
  readonly #params: URLSearchParams;
  readonly #strict: boolean;
  readonly #read = new Set<string>();

  /** `strict`: a parameter that nobody reads is refused (spot); otherwise it is ignored (USD-M). */
  constructor(text: string, strict: boolean) {
    this.#params = new URLSearchParams(text);
    this.#strict = strict;
  }

  /** Null: not sent. */
  optional(name: string): string | null {
    const values = this.#params.getAll(name);
    if (values.length > 1) throw refuse.duplicate();
    const value = values[0];
    if (value === undefined) return null;
    this.#read.add(name);
    if (value === "") throw refuse.empty(name);
    return value;
  }

  mandatory(name: string): string {
    const value = this.optional(name);
    if (value === null) throw refuse.mandatory(name);
    return value;
  }

  number(name: string): number | null {
    const text = this.optional(name);
    if (text === null) return null;
    if (!NUMBER.test(text)) throw refuse.illegal(name, NUMBER_RANGE);
    return Number(text);
  }

  limit({ normal, most, over }: LimitRule): number {
    const limit = this.number("limit");
    if (limit === null) return normal;
    if (limit === 0 || (limit > most && over === "refuse")) throw refuse.invalid("limit");
    return Math.min(limit, most);
  }

  oneOf<const Name extends string>(name: string, values: readonly [Name, ...Name[]]): Name {
    const text = this.optional(name);
    if (text === null) return values[0];
    const value = values.find((one) => one === text);
    if (value === undefined) throw refuse.invalid(name);
    return value;
  }

  symbol(name = "symbol"): string {
    return symbolText(name, this.mandatory(name));
  }

  optionalSymbol(): string | null {
    const text = this.optional("symbol");
    return text === null ? null : symbolText("symbol", text);
  }

  /** `symbol=A`, or `symbols=["A","B"]`, each once; null: neither was sent. */
  symbols(): { readonly one: string } | { readonly list: readonly string[] } | null {
    const one = this.optional("symbol");
    const list = this.optional("symbols");
    if (one !== null && list !== null) throw refuse.combination();
    if (one !== null) return { one: symbolText("symbol", one) };
    return list === null ? null : { list: symbolList(list) };
  }

  /** Every parameter has been read. */
  end(): void {
    if (!this.#strict) return;
    const sent = [...this.#params.keys()].length;
    if (sent === this.#read.size) return;
    throw this.#read.size === 0 ? refuse.tooMany(sent) : refuse.unread(this.#read.size, sent);
  }
}

function symbolText(name: string, text: string): string {
  if (!SYMBOL.test(text)) throw refuse.illegal(name, SYMBOL_RANGE);
  return text;
}

function symbolList(text: string): readonly string[] {
  const fault: Refusal = refuse.illegal("symbols", SYMBOLS_RANGE);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw fault; // whatever is wrong with it, it is no list of symbols
  }
  if (!Array.isArray(value) || value.length === 0) throw fault;
  if (!value.every((one): one is string => typeof one === "string" && SYMBOL.test(one))) throw fault;
  return [...new Set(value)];
}
