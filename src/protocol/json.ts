/**
 * Where a JSON text is wrong, and where its top-level fields stand: what `JSON.parse` does not tell.
 *
 * On the path: dialect decode, only when a frame is refused or holds an integer that a double cannot hold.
 * Invariants: never throws; the positions and words are those of serde_json, which Binance's server shows to its clients.
 * At the limit: nesting deeper than DEPTH_MAX is a fault.
 */

export const DEPTH_MAX = 128;

export interface JsonFault {
  readonly what: string;
  /** 1-based. */
  readonly line: number;
  readonly column: number;
}

/** A value's text is `frame.slice(start, end)`. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

export interface JsonScan {
  /** Null if the text is JSON. */
  readonly fault: JsonFault | null;
  /** Fields of the top-level object (none for other values); of two equal keys the last. */
  readonly fields: ReadonlyMap<string, Span>;
  /** Where the value ends. */
  readonly end: number;
}

export function scanJson(text: string): JsonScan {
  const scanner = new Scanner(text);
  const what = scanner.document();
  return {
    fault: what === null ? null : { what, ...place(text, scanner.at + 1) },
    fields: scanner.fields,
    end: scanner.at,
  };
}

/** Line and column when the text was read up to `index`. */
export function place(text: string, index: number): { line: number; column: number } {
  const read = Math.min(text.length, index);
  let line = 1;
  let lineStart = 0;
  for (let lf = text.indexOf("\n"); lf >= 0 && lf < read; lf = text.indexOf("\n", lf + 1)) {
    line++;
    lineStart = lf + 1;
  }
  return { line, column: read - lineStart };
}

/** Every method reads on from `at` and returns null, or what is wrong at `at`. */
class Scanner {
  at = 0;
  readonly fields = new Map<string, Span>();
  private readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  document(): string | null {
    const fault = this.value(1);
    if (fault !== null) return fault;
    return this.skip() === "" ? null : "trailing characters";
  }

  private value(depth: number): string | null {
    const next = this.skip();
    if (next === "{" || next === "[") {
      if (depth >= DEPTH_MAX) return "recursion limit exceeded";
      this.at++;
      return next === "{" ? this.object(depth) : this.array(depth);
    }
    if (next === '"') return this.string();
    if (next === "-" || isDigit(next)) return this.number();
    if (next === "") return "EOF while parsing a value";
    for (const word of ["true", "false", "null"]) if (word.startsWith(next)) return this.word(word);
    return "expected value";
  }

  private object(depth: number): string | null {
    if (this.skip() === "}") return this.step();
    for (;;) {
      const next = this.skip();
      if (next === "") return "EOF while parsing an object";
      if (next === "}") return "trailing comma";
      if (next !== '"') return "key must be a string";
      const keyStart = this.at;
      const badKey = this.string();
      if (badKey !== null) return badKey;
      const key = this.text.slice(keyStart, this.at);
      const colon = this.skip();
      if (colon !== ":") return colon === "" ? "EOF while parsing an object" : "expected `:`";
      this.at++;
      this.skip();
      const start = this.at;
      const badValue = this.value(depth + 1);
      if (badValue !== null) return badValue;
      if (depth === 1) this.fields.set(key.slice(1, -1), { start, end: this.at });
      const after = this.skip();
      if (after === "}") return this.step();
      if (after !== ",") return after === "" ? "EOF while parsing an object" : "expected `,` or `}`";
      this.at++;
    }
  }

  private array(depth: number): string | null {
    if (this.skip() === "]") return this.step();
    for (;;) {
      if (this.skip() === "]") return "trailing comma";
      const fault = this.value(depth + 1);
      if (fault !== null) return fault === "EOF while parsing a value" ? "EOF while parsing a list" : fault;
      const after = this.skip();
      if (after === "]") return this.step();
      if (after !== ",") return after === "" ? "EOF while parsing a list" : "expected `,` or `]`";
      this.at++;
    }
  }

  private string(): string | null {
    for (this.at++; this.at < this.text.length; this.at++) {
      const code = this.text.charCodeAt(this.at);
      if (code === 0x22) return this.step();
      if (code < 0x20) return "control character (\\u0000-\\u001F) found while parsing a string";
      if (code !== 0x5c) continue;
      this.at++;
      const escaped = this.text.charAt(this.at);
      if (escaped === "") break;
      if (escaped === "u") {
        if (!/^[0-9a-fA-F]{4}/.test(this.text.slice(this.at + 1, this.at + 5))) return "invalid escape";
        this.at += 4;
      } else if (!'"\\/bfnrt'.includes(escaped)) return "invalid escape";
    }
    return "EOF while parsing a string";
  }

  private number(): string | null {
    if (this.text[this.at] === "-") this.at++;
    if (this.text[this.at] === "0") this.at++;
    else if (!this.digits()) return this.badNumber();
    if (isDigit(this.text.charAt(this.at))) return "invalid number";
    if (this.text[this.at] === ".") {
      this.at++;
      if (!this.digits()) return this.badNumber();
    }
    if (this.text[this.at] === "e" || this.text[this.at] === "E") {
      this.at++;
      if (this.text[this.at] === "+" || this.text[this.at] === "-") this.at++;
      if (!this.digits()) return this.badNumber();
    }
    return null;
  }

  private badNumber(): string {
    return this.at < this.text.length ? "invalid number" : "EOF while parsing a value";
  }

  private digits(): boolean {
    const start = this.at;
    while (isDigit(this.text.charAt(this.at))) this.at++;
    return this.at > start;
  }

  private word(word: string): string | null {
    for (const letter of word) {
      if (this.text[this.at] !== letter) {
        return this.at < this.text.length ? "expected ident" : "EOF while parsing a value";
      }
      this.at++;
    }
    return null;
  }

  /** Skips white space; the character there, '' at the end. */
  private skip(): string {
    for (;;) {
      const next = this.text.charAt(this.at);
      if (next !== " " && next !== "\n" && next !== "\r" && next !== "\t") return next;
      this.at++;
    }
  }

  private step(): null {
    this.at++;
    return null;
  }
}

const isDigit = (char: string): boolean => char >= "0" && char <= "9";
