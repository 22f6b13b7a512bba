/** Everything a test needs to play each recording: the venue, its speech, the frames and what lies before them. */
import { binanceSpeech, booksBefore } from "../venue/binance-speech.ts";
import { coinbaseSpeech } from "../venue/coinbase-speech.ts";
import { krakenSpeech, translated } from "../venue/kraken-speech.ts";
import { krakenV1Speech } from "../venue/kraken-v1-speech.ts";
import { okxSpeech } from "../venue/okx-speech.ts";
import type { Speech } from "../venue/speech.ts";
import type { VenueOptions } from "../venue/venue-server.ts";
import { framesOf } from "./recordings.ts";

export interface Scripted {
  readonly name: string;
  readonly venue: string;
  readonly speech: Speech;
  readonly symbols: readonly string[];
  readonly options: VenueOptions;
  /** The recording itself, if the script is one. */
  readonly recording: string | null;
}

function scripted(
  name: string,
  venue: string,
  recording: string,
  speech: Speech,
  change: (frames: readonly string[]) => readonly string[] = (frames) => frames,
): Scripted | null {
  const frames = framesOf(recording);
  if (frames === null) return null;
  const script = change(
    frames.filter((frame) => !/^\{"(event|type":"subscriptions|connectionID|channelID)"/.test(frame)),
  );
  const symbols = new Set(script.flatMap((frame) => speech.read(frame)?.symbol ?? []));
  const start = speech === binanceSpeech ? { start: booksBefore(script) } : {};
  return {
    name,
    venue,
    speech,
    symbols: [...symbols],
    options: { speech, script, ...start },
    recording: change === translated || speech.dress !== undefined ? null : recording,
  };
}

/** Empty without the recorded feeds. */
export const SCRIPTS: readonly Scripted[] = [
  scripted("kraken v1", "kraken-v1", "KRAKEN.ws.50.0", krakenV1Speech),
  scripted("kraken v2", "kraken", "KRAKEN.ws.50.0", krakenSpeech, translated),
  scripted("coinbase", "coinbase", "COINBASE.ws.28.0", coinbaseSpeech),
  scripted("binance", "binance", "BINANCE.ws.1.0", binanceSpeech),
  scripted("binance usdm", "binance-usdm", "BINANCE_FUTURES.ws.1.0", binanceSpeech),
  scripted("okx with checksums", "okx", "OKX.ws.1.0", okxSpeech(false)),
  scripted("okx with sequence ids", "okx", "OKX.ws.1.0", okxSpeech(true)),
].filter((one) => one !== null);
