/**
 * The file format of recordings: what each line means, reading a file line by line, and what its head says.
 *
 * On the path: file -> REPLAY-FILE -> replay -> pipeline.
 *
 *     wss://ws.kraken.com <-> 1618678132.3858151                                  a connection was made
 *     wss://ws.kraken.com <- 1618678132.8253062: {"event":"subscribe",...}        something was asked on it
 *     1618678134.213106: [992,{"b":[...],"c":"2583817756"},"book-1000","XMR/USD"]   a record was received
 *
 * Invariants: memory is one read block and one line, whatever the file's size; a line that is none of these is a record
 * with the whole line as its text, so that the mapper refuses and the pipeline counts it.
 * At the limit: a line over LINE_CHARS_MAX ends the replay with a GatewayError (no recording has one).
 */
import { closeSync, openSync, readSync } from "node:fs";
import { open } from "node:fs/promises";
import { GatewayError } from "../lib/errors.ts";

const BLOCK_BYTES = 256 * 1024;
const HEAD_BYTES = 1024 * 1024;
const LINE_CHARS_MAX = 16 * 1024 * 1024;

export type Venue = "kraken-v1" | "kraken" | "coinbase" | "binance" | "binance-usdm" | "okx";

export interface ReplayHead {
  /** Null if the recording does not say what it was connected to. */
  readonly url: string | null;
  /** Whose wire format the records have, as far as the URL tells. */
  readonly venue: Venue | null;
  /** What was asked on the connection before the first record, parsed (as text where it is not JSON). */
  readonly requests: readonly unknown[];
}

export type Line =
  | { readonly type: "connection"; readonly url: string }
  | { readonly type: "request"; readonly url: string; readonly text: string }
  /** `timeMs` is fractional; null where the line has no timestamp (it is malformed then). */
  | { readonly type: "record"; readonly timeMs: number | null; readonly text: string }
  | { readonly type: "blank" };

const BLANK: Line = { type: "blank" };
const NOTE = /^(\S+) <(->?) \d+(?:\.\d+)?(?:: (.*))?$/;

export function parseLine(raw: string): Line {
  const line = raw.endsWith("\r") ? raw.slice(0, -1) : raw;
  const colon = line.indexOf(": ");
  if (colon > 0 && colon < 32 && isDigit(line.charCodeAt(0))) {
    const seconds = Number(line.slice(0, colon));
    if (seconds < 1e11) return { type: "record", timeMs: seconds * 1000, text: line.slice(colon + 2) };
  }
  const note = NOTE.exec(line);
  if (note?.[2] === "->") return { type: "connection", url: note[1]! };
  if (note?.[2] === "-" && note[3] !== undefined) return { type: "request", url: note[1]!, text: note[3] };
  if (line.trim() === "") return BLANK;
  return { type: "record", timeMs: null, text: line };
}

const isDigit = (char: number): boolean => char >= 48 && char <= 57;

/** The file's lines in order, a block of them at a time. Rejects with GatewayError where the file cannot be read. */
export async function* readLines(path: string): AsyncGenerator<string[]> {
  const file = await open(path).catch((cause: unknown) => {
    throw unreadable(path, cause);
  });
  try {
    const decoder = new TextDecoder();
    const block = new Uint8Array(BLOCK_BYTES);
    let rest = "";
    for (;;) {
      const { bytesRead } = await file.read(block, 0, BLOCK_BYTES, null).catch((cause: unknown) => {
        throw unreadable(path, cause);
      });
      if (bytesRead === 0) break;
      const lines = (rest + decoder.decode(block.subarray(0, bytesRead), { stream: true })).split("\n");
      rest = lines.pop() ?? "";
      if (rest.length > LINE_CHARS_MAX) throw notRecording(path, `a line is over ${LINE_CHARS_MAX} characters`);
      yield lines;
    }
    yield [rest + decoder.decode()];
  } finally {
    await file.close();
  }
}

/** What a recording's head says. Throws GatewayError if the file does not exist or is no recording. */
export function inspectReplay(path: string): ReplayHead {
  let url: string | null = null;
  const requests: unknown[] = [];
  for (const text of readHead(path).split("\n")) {
    const line = parseLine(text);
    if (line.type === "connection") url ??= line.url;
    if (line.type === "request") requests.push(parsed(line.text));
    if (line.type === "record") {
      if (line.timeMs === null || !/^\s*[[{]/.test(line.text)) {
        throw notRecording(path, `found ${JSON.stringify(text.slice(0, 40))}`);
      }
      return { url, venue: url === null ? null : venueOf(url), requests };
    }
  }
  throw notRecording(path, "it holds no record");
}

function readHead(path: string): string {
  const block = Buffer.alloc(HEAD_BYTES);
  let file = -1;
  try {
    file = openSync(path, "r");
    return block.toString("utf8", 0, readSync(file, block, 0, HEAD_BYTES, 0));
  } catch (cause) {
    throw unreadable(path, cause);
  } finally {
    if (file !== -1) closeSync(file);
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text; // The caller sees what stood there.
  }
}

/** By host: only those whose wire format is the one meant (Kraken's futures, Binance COIN-M are others). */
function venueOf(url: string): Venue | null {
  if (!URL.canParse(url)) return null;
  const { hostname, pathname } = new URL(url);
  const of = (domain: string): boolean => hostname === domain || hostname.endsWith(`.${domain}`);
  if (hostname === "ws.kraken.com") return pathname === "/" ? "kraken-v1" : pathname === "/v2" ? "kraken" : null;
  if (of("coinbase.com")) return "coinbase";
  if (hostname === "fstream.binance.com") return "binance-usdm";
  if (hostname === "stream.binance.com" || hostname === "data-stream.binance.vision") return "binance";
  if (of("okx.com") || of("okex.com")) return "okx";
  return null;
}

function notRecording(path: string, why: string): GatewayError {
  return new GatewayError(
    "REPLAY_FORMAT",
    `${path} is not a recording (${why}): give a file of lines "<unix seconds>: <json>"`,
  );
}

function unreadable(path: string, cause: unknown): GatewayError {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "";
  const reason =
    code === "ENOENT"
      ? "does not exist: give the path of a recording"
      : code === "EISDIR"
        ? "is a folder: give one recording inside it"
        : code === "EACCES"
          ? "may not be read: change its permissions"
          : `cannot be read (${code || String(cause)}): give the path of a recording`;
  return new GatewayError("REPLAY_FILE", `replay file ${path} ${reason}`, { cause });
}
