/**
 * `tidegate record`: writes what an upstream sends into a file that `serve --replay` plays.
 *
 * Invariants: what goes wrong with the connection is told on stderr and tried again; the file is whole when it ends.
 */
import { Recorder } from "../ingest/recorder.ts";
import type { Source } from "../ingest/source.ts";
import { createWebSocket, parseUpstream, rawLink, upstreamInputs } from "../ingest/websocket/mod.ts";
import { systemClock } from "../lib/clock.ts";
import { GatewayError } from "../lib/errors.ts";
import { readPem } from "./pem.ts";

export interface RecordRequest {
  /** `kraken:BTC/USD`, or the URL of a WebSocket. */
  readonly what: string;
  readonly out: string;
  /** Frames to send to a URL once it is connected. */
  readonly send: readonly string[];
  readonly url?: string;
  readonly rest?: string;
  /** Path of a PEM file. */
  readonly ca?: string;
  readonly seconds: number | null;
  readonly count: number | null;
}

export interface RecordWorld {
  err(text: string): void;
  onEnd(call: () => void): void;
}

interface Recording {
  readonly source: Source;
  readonly recorder: Recorder;
}

/** Resolves with the exit status: 1 if nothing came. */
export async function record(request: RecordRequest, world: RecordWorld): Promise<number> {
  const recordings = recordingsOf(request, world);
  const abort = new AbortController();
  const end = (): void => abort.abort();
  world.onEnd(end);
  const timer = request.seconds === null ? null : setTimeout(end, request.seconds * 1000);
  const { count } = request;
  try {
    await Promise.all(
      recordings.map(({ source, recorder }) => source.run(counting(recorder, count, end), null, abort.signal)),
    );
  } finally {
    end();
    if (timer !== null) clearTimeout(timer);
    for (const { recorder } of recordings) await recorder.close();
  }
  for (const { recorder } of recordings) world.err(`${recorder.records} records in ${recorder.path}\n`);
  if (recordings.some(({ recorder }) => recorder.records > 0)) return 0;
  world.err(`tidegate: nothing was recorded: ${request.what} sent nothing\n`);
  return 1;
}

/** One file per connection: the first has the name that was asked for. */
function recordingsOf(request: RecordRequest, world: RecordWorld): Recording[] {
  const { what, out, send, url, rest, ca } = request;
  const clock = systemClock();
  const tell = (message: string, { error, frame }: Readonly<Record<string, unknown>> = {}): void => {
    const why = error ?? frame;
    world.err(`${what}: ${message}${why === undefined ? "" : `: ${String(why)}`}\n`);
  };
  const log = { info: tell, warn: tell };
  const tls = ca === undefined ? {} : { tls: { ca: readPem("--upstream-ca", ca) } };
  const parts = { clock, random: Math.random, log, ...tls };
  if (/^wss?:\/\//.test(what)) {
    if (url !== undefined) throw new GatewayError("USAGE", "--upstream-url is for a venue's name, not for a URL");
    const recorder = new Recorder(out, what, clock, false);
    const link = rawLink(send);
    const named = { name: "upstream", link, base: what, rest: null, symbolOf: new Map<string, string>() };
    return [{ recorder, source: createWebSocket({ ...parts, ...named, watch: recorder }) }];
  }
  if (send.length > 0) throw new GatewayError("USAGE", "--send is for a URL: a venue is told what to send by itself");
  const upstream = parseUpstream(what);
  const recorders = upstream.venue
    .links(upstream.symbols)
    .map(
      ({ name, path }, at) => new Recorder(at === 0 ? out : `${out}.${name}`, upstream.venue.base + path, clock, true),
    );
  const addresses = { ...(url === undefined ? {} : { url }), ...(rest === undefined ? {} : { rest }) };
  const watchOf = (at: number) => recorders[at] as Recorder;
  const inputs = upstreamInputs(upstream, { ...parts, ...addresses, defaultMarket: "spot", watchOf });
  return inputs.map(({ source }, at) => ({ source, recorder: watchOf(at) }));
}

/** Ends the recording when so many records are written. */
function counting(recorder: Recorder, count: number | null, end: () => void) {
  return {
    accept(record: Parameters<Recorder["accept"]>[0]) {
      if (count !== null && recorder.records >= count) return;
      recorder.accept(record);
      if (recorder.records === count) end();
    },
    busy: () => recorder.busy(),
  };
}
