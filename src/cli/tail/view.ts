/**
 * The three ways `tail` shows what it gets: raw JSON for pipes, plain lines, and a screen that is redrawn.
 *
 * Invariants: what is for people (notes) never mixes with what is for programs (stdout of `--json` and of pipes).
 * At the limit: a reader of our pipe that does not read is given up (`onStuck`); a screen that is slow to draw is drawn
 * less often.
 */

import type { ChannelPush } from "../../../client/src/frames.ts";
import { type Book, createBook } from "../../channel/book.ts";
import { Panel, paint } from "./panel.ts";
import { isDepth, plainLines, type Top } from "./text.ts";

export interface View {
  push(push: ChannelPush, raw: string, restart: boolean): void;
  /** A sentence for the person in front: connection, refusals, faults. */
  note(sentence: string): void;
  /** What is shown of a channel is not to be trusted (of all of them if none is named). */
  distrust(channel?: string): void;
  /** The channel was refused: nothing of it will come. */
  drop(channel: string): void;
  close(): void;
}

export interface Output {
  write(text: string): void;
  /** Bytes that its reader has not taken yet. */
  readonly waitingBytes: number;
}

export interface Outputs {
  readonly out: Output;
  readonly err: Output;
  /** The reader of `out` does not read. */
  onStuck(): void;
}

const waitingBytesMax = 64 * 1024 * 1024;

export function jsonView({ out, err, onStuck }: Outputs): View {
  return {
    push(_, raw) {
      out.write(`${raw}\n`);
      if (out.waitingBytes > waitingBytesMax) onStuck();
    },
    note: (sentence) => err.write(`${sentence}\n`),
    distrust: () => undefined,
    drop: () => undefined,
    close: () => undefined,
  };
}

export function plainView({ out, err, onStuck }: Outputs): View {
  const books = new Map<string, Book>();
  return {
    push(push, _, restart) {
      if (restart) out.write(`${push.channel} new epoch\n`);
      out.write(`${plainLines(push, topAfter(books, push)).join("\n")}\n`);
      if (out.waitingBytes > waitingBytesMax) onStuck();
    },
    note: (sentence) => err.write(`${sentence}\n`),
    distrust: () => undefined,
    drop: () => undefined,
    close: () => undefined,
  };
}

function topAfter(books: Map<string, Book>, push: ChannelPush): Top | null {
  if ((push.type !== "snapshot" && push.type !== "delta") || !isDepth(push.data)) return null;
  const book = books.get(push.channel) ?? createBook();
  books.set(push.channel, book);
  if (push.type === "snapshot") book.replace(push.data);
  else book.apply(push.data);
  return { bid: book.bestBid, ask: book.bestAsk };
}

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

const REDRAW_MS = 100;
const NOTES_KEPT = 3;
const ENTER = "\x1b[?1049h\x1b[?25l";
const LEAVE = "\x1b[?25h\x1b[?1049l";

export function screenView({ out }: Outputs, channels: readonly string[], size: () => Size, nowUs: () => number): View {
  const panels = new Map(channels.map((channel) => [channel, new Panel(channel)]));
  const notes: string[] = [];
  let dirty = true;
  out.write(ENTER);
  const timer = setInterval(() => {
    if (!dirty || out.waitingBytes > 0) return;
    dirty = false;
    out.write(`\x1b[H${frame([...panels.values()], notes, size())}\x1b[J`);
  }, REDRAW_MS);
  return {
    push(push, _, restart) {
      panels.get(push.channel)?.add(push, restart, nowUs());
      dirty = true;
    },
    note(sentence) {
      notes.push(sentence);
      if (notes.length > NOTES_KEPT) notes.shift();
      dirty = true;
    },
    distrust(channel) {
      for (const panel of panels.values()) if (channel === undefined || channel === panel.channel) panel.distrust();
      dirty = true;
    },
    drop(channel) {
      panels.delete(channel);
      dirty = true;
    },
    close() {
      clearInterval(timer);
      out.write(LEAVE);
      // The last words are what one wants to read after the screen is gone.
      for (const note of notes) out.write(`${note}\n`);
    },
  };
}

/** All panels under each other, then the notes; exactly as much as fits. */
function frame(panels: readonly Panel[], notes: readonly string[], { columns, rows }: Size): string {
  const lines: string[] = [];
  let left = rows - notes.length - 1;
  for (const [at, panel] of panels.entries()) {
    // Each of the remaining panels gets its share; who wants less leaves more to the others.
    const share = Math.floor(left / (panels.length - at));
    const height = Math.max(2, Math.min(panel.wants, share - 1));
    if (left < 2) break;
    const shown = panel.lines(columns, Math.min(height, left));
    lines.push(...shown, "");
    left -= shown.length + 1;
  }
  lines.push(...notes.map((note) => paint.dim(note.slice(0, columns))));
  return `${lines
    .slice(0, rows - 1)
    .map((line) => `${line}\x1b[K`)
    .join("\r\n")}\r\n`;
}
