/**
 * `tidegate tail <channel>...`: a live, readable view of channels, or their pushes as JSON lines.
 *
 * A client like any other: it speaks the native dialect and checks every chain, so it also shows when a node breaks its
 * promise. Ends with status 0 on Ctrl-C and when the reader of its pipe goes away, with 1 when every channel was refused.
 */
import { nearest } from "../../lib/nearest.ts";
import { symbolsOf } from "../symbols.ts";
import { type ConnectionListener, openConnection } from "./connection.ts";
import { duration } from "./text.ts";
import { httpOrigin } from "./url.ts";
import { jsonView, type Outputs, plainView, type Size, screenView, type View } from "./view.ts";

export interface TailOptions {
  readonly url: string;
  readonly channels: readonly string[];
  readonly cadence: number | null;
  /** PEM of the authorities to trust; null: the system's. */
  readonly ca: string | null;
  readonly json: boolean;
  /** Ends after so many pushes; null: never. */
  readonly count: number | null;
}

export interface TailWorld {
  readonly outputs: Omit<Outputs, "onStuck">;
  /** Of the terminal; null if stdout is none. */
  readonly size: () => Size | null;
  nowUs(): number;
  /** Nobody waits for what the output has not taken yet. */
  abandon?(): void;
  /** Calls once when the user or the reader of our output wants the end. */
  onEnd(call: () => void): void;
}

/** Streams whose pushes are lines of their own: with only these the terminal scrolls instead of being redrawn. */
const LINE_STREAMS = /@(trade|aggTrade|forceOrder)$/;

const DISTRUST = "--ca FILE names the authorities to trust, for a certificate of your own the certificate itself";

/** Resolves with the exit status. */
export function tail(options: TailOptions, world: TailWorld): Promise<number> {
  const { url, cadence, ca } = options;
  const channels = [...new Set(options.channels)];
  return new Promise((resolve) => {
    const view = chooseView(options, { ...world.outputs, onStuck }, world);
    let explained = 0;
    let pushes = 0;
    let ended = false;

    function onStuck(): void {
      world.abandon?.();
      end(1, "the reader of this output does not read");
    }

    function end(status: number, sentence?: string): void {
      if (ended) return;
      ended = true;
      connection.close();
      if (sentence !== undefined) view.note(sentence);
      view.close();
      resolve(status);
    }

    const listener: ConnectionListener = {
      connected: () => view.note(`connected to ${url}`),
      lost(reason, retryMs, first) {
        view.distrust();
        const hint = /certificate/i.test(reason) ? DISTRUST : "is a node running there? npm start starts one";
        const what = first ? `cannot reach ${url} (${reason}): ${hint}` : reason;
        view.note(`${what}; trying again in ${duration(retryMs)}`);
      },
      refused(channel, code, message) {
        if (channel === "") {
          view.note(`the node refused a command: ${message} (${code})`);
          return;
        }
        view.drop(channel);
        void explain(options, channel, code, message).then((sentence) => {
          view.note(sentence);
          explained += 1;
          if (explained === channels.length) end(1);
        });
      },
      push(push, raw, restart) {
        view.push(push, raw, restart);
        pushes += 1;
        if (pushes === options.count) end(0);
      },
      broken(push) {
        view.distrust(push.channel);
        view.note(`${push.channel}: the chain is broken before this ${push.type}, asking for what is missing`);
      },
      drain: ({ afterMs }) => view.note(`the node is stopping, it will close this connection in ${duration(afterMs)}`),
      odd: (frame) => view.note(`not a frame of the native protocol: ${frame.slice(0, 80)}`),
    };
    const connection = openConnection({ url, channels, cadence, ca }, listener);
    world.onEnd(() => end(0));
  });
}

function chooseView(options: TailOptions, outputs: Outputs, { size, nowUs }: TailWorld): View {
  if (options.json) return jsonView(outputs);
  if (size() === null || options.channels.every((channel) => LINE_STREAMS.test(channel))) return plainView(outputs);
  return screenView(outputs, options.channels, () => size() ?? { columns: 80, rows: 24 }, nowUs);
}

const NAMES_SHOWN = 12;

/** A refusal, and for an unknown channel what the node has instead. */
async function explain({ url, ca }: TailOptions, channel: string, code: number, message: string): Promise<string> {
  const sentence = `${channel}: ${message} (${code})`;
  const [, symbol = "", stream = ""] = /^(?:.*:)?([^@]*)@(.*)$/.exec(channel) ?? [];
  if (code !== 1203) return sentence;
  if (stream === "")
    return channel.includes("@") ? sentence : `${sentence}: name a stream too, such as ${channel}@trade`;
  const symbols = await symbolsOf(httpOrigin(url), ca === null ? {} : { ca });
  if (symbols.length === 0) return sentence;
  const close = nearest(symbol, symbols);
  if (close === symbol) return `${sentence}: the symbol exists, the stream "${stream}" does not`;
  if (close !== null) return `${sentence}: did you mean ${close}@${stream}?`;
  const shown = symbols.slice(0, NAMES_SHOWN).join(", ");
  return `${sentence}: symbols here are ${shown}${symbols.length > NAMES_SHOWN ? ", ..." : ""}`;
}
