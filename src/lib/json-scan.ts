/**
 * A reader of JSON text that knows where it stands: for faults with line and column, members given twice, and the text of
 * a value as it was written.
 *
 * Beside the runtime's own parser, which says neither where nor which. Invariant: it takes exactly what JSON.parse takes,
 * but for the depth. At the limit: nesting deeper than DEPTH_MAX is a fault.
 */

export const DEPTH_MAX = 100;

export type JsonPath = readonly (string | number)[];

/** Offsets into the text; `end` is behind the last character. */
export interface Spot {
  readonly start: number;
  readonly end: number;
}

export interface JsonFault {
  readonly offset: number;
  /** `want a comma or "}" here`. */
  readonly message: string;
}

/** Members that stand in their object before, each by its path and the offset of its name. */
export interface Twice {
  readonly path: JsonPath;
  readonly offset: number;
}

/** Text as it is meant: some editors put a byte order mark before it, which JSON does not know. */
export const withoutMark = (text: string): string => (text.startsWith("\uFEFF") ? text.slice(1) : text);

/** One pass over the text: what is wrong with it, and members whose name their object has already. */
export function scanJson(text: string): { readonly fault: JsonFault | null; readonly twice: readonly Twice[] } {
  const twice: Twice[] = [];
  try {
    new Scanner(text, null, twice).whole();
    return { fault: null, twice };
  } catch (error) {
    if (error instanceof Fault) return { fault: { offset: error.offset, message: error.message }, twice };
    throw error;
  }
}

/** Where the values at these paths stand, in their order; of one that is not there, what it would stand in. The text is JSON. */
export function spotsOf(text: string, paths: readonly JsonPath[]): readonly Spot[] {
  const root = newWant(null);
  const wants = paths.map((path) => path.reduce<Want>((want, step) => insideOf(want, String(step)), root));
  new Scanner(text, root, null).whole();
  return wants.map((want) => {
    let at: Want | null = want;
    while (at !== null && at.spot === null) at = at.outside;
    return at?.spot ?? { start: 0, end: text.length };
  });
}

/** The text of one value as it was written; null if there is none at this path. The text is JSON. */
export function textAt(text: string, path: JsonPath): string | null {
  const root = newWant(null);
  const want = path.reduce<Want>((outside, step) => insideOf(outside, String(step)), root);
  new Scanner(text, root, null).whole();
  return want.spot === null ? null : text.slice(want.spot.start, want.spot.end);
}

/** Lines and columns of a text's offsets, both from 1. */
export class Lines {
  /** Offset of each line's first character. */
  readonly #starts: number[] = [0];

  constructor(text: string) {
    for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) this.#starts.push(at + 1);
  }

  of(offset: number): { readonly line: number; readonly column: number } {
    let [low, high] = [0, this.#starts.length - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((this.#starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - (this.#starts[low] ?? 0) + 1 };
  }
}

interface Want {
  readonly outside: Want | null;
  readonly inside: Map<string, Want>;
  spot: Spot | null;
}

const newWant = (outside: Want | null): Want => ({ outside, inside: new Map(), spot: null });

function insideOf(outside: Want, step: string): Want {
  const want = outside.inside.get(step) ?? newWant(outside);
  outside.inside.set(step, want);
  return want;
}

class Fault extends Error {
  readonly offset: number;
  constructor(offset: number, message: string) {
    super(message);
    this.offset = offset;
  }
}

const BLANK = /[ \t\n\r]*/y;
/** Runs of plain characters and escapes, up to what cannot stand in a string. */
const STRING_BODY = /(?:[^"\\\p{Cc}]|[\x7f-\x9f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*/uy;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /[A-Za-z_]+/y;
const COMMENT = /^(?:\/\/|\/\*|#)/;

class Scanner {
  readonly #text: string;
  readonly #twice: Twice[] | null;
  readonly #root: Want | null;
  readonly #path: (string | number)[] = [];
  #at = 0;

  /** `twice` null: nobody wants to know. */
  constructor(text: string, root: Want | null, twice: Twice[] | null) {
    this.#text = text;
    this.#root = root;
    this.#twice = twice;
  }

  whole(): void {
    this.#blank();
    this.#value(this.#root, 0);
    this.#blank();
    if (this.#at < this.#text.length) throw this.#fault("want nothing more behind the value");
  }

  #value(want: Want | null, depth: number): void {
    if (depth > DEPTH_MAX) throw this.#fault(`nested deeper than ${DEPTH_MAX}`);
    const start = this.#at;
    const first = this.#text[start];
    if (first === "{") this.#object(want, depth);
    else if (first === "[") this.#array(want, depth);
    else if (first === '"') this.#string();
    else if (first === "-" || (first !== undefined && first >= "0" && first <= "9")) this.#number();
    else this.#word();
    if (want !== null) want.spot = { start, end: this.#at };
  }

  #object(want: Want | null, depth: number): void {
    const names = this.#twice === null ? null : new Set<string>();
    this.#at++;
    this.#blank();
    if (this.#take("}")) return;
    for (;;) {
      const offset = this.#at;
      if (this.#text[offset] !== '"')
        throw this.#fault(this.#text[offset] === "}" ? COMMA_LAST : 'want a name in "" here');
      const name = this.#string();
      if (names?.has(name) === true) this.#twice?.push({ path: [...this.#path, name], offset });
      names?.add(name);
      this.#blank();
      if (!this.#take(":")) throw this.#fault("want a colon here");
      this.#blank();
      this.#path.push(name);
      this.#value(want?.inside.get(name) ?? null, depth + 1);
      this.#path.pop();
      this.#blank();
      if (this.#take("}")) return;
      if (!this.#take(",")) throw this.#fault('want a comma or "}" here');
      this.#blank();
    }
  }

  #array(want: Want | null, depth: number): void {
    this.#at++;
    this.#blank();
    if (this.#take("]")) return;
    for (let index = 0; ; index++) {
      if (index > 0 && this.#text[this.#at] === "]") throw this.#fault(COMMA_LAST);
      this.#path.push(index);
      this.#value(want?.inside.get(String(index)) ?? null, depth + 1);
      this.#path.pop();
      this.#blank();
      if (this.#take("]")) return;
      if (!this.#take(",")) throw this.#fault('want a comma or "]" here');
      this.#blank();
    }
  }

  #string(): string {
    const start = this.#at;
    this.#at++;
    const body = this.#match(STRING_BODY);
    if (this.#text[this.#at] === "\\") throw this.#fault("no such escape in a text");
    if (!this.#take('"'))
      throw this.#fault(this.#at < this.#text.length ? "a text ends on its line" : "the text has no end");
    return body.includes("\\") ? String(JSON.parse(this.#text.slice(start, this.#at))) : body;
  }

  #number(): void {
    if (this.#match(NUMBER) === "") throw this.#fault("want a number here");
    const next = this.#text[this.#at];
    if (next !== undefined && /[\w.+-]/.test(next)) throw this.#fault("this is no number");
  }

  #word(): void {
    const start = this.#at;
    const word = this.#match(WORD);
    if (["true", "false", "null"].includes(word)) return;
    this.#at = start;
    const rest = this.#text.slice(start, start + 2);
    if (rest === "") throw this.#fault("the document ends too early");
    if (rest.startsWith("'")) throw this.#fault("texts stand in \"\", not in ''");
    throw this.#fault("want a value here");
  }

  #blank(): void {
    this.#match(BLANK);
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0] ?? "";
    this.#at += found.length;
    return found;
  }

  #take(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  /** A comment may stand where anything else is wanted. */
  #fault(message: string): Fault {
    const isComment = COMMENT.test(this.#text.slice(this.#at, this.#at + 2));
    return new Fault(this.#at, isComment ? "comments are not allowed in JSON: leave this one out" : message);
  }
}

const COMMA_LAST = "the comma before it is one too many";
