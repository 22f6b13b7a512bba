/** The Binance dialect: market streams of spot and USD-M, raw and combined, and the REST calls beside them. */
import type { Dialect } from "../dialect.ts";
import { decode } from "./decode.ts";
import { open } from "./open.ts";
import * as replies from "./replies.ts";

export { binanceEncoder } from "./encode.ts";
export type { BinanceRestPorts, DepthReply, Instruments, Kept } from "./rest/ports.ts";
export type { RestReply } from "./rest/replies.ts";
export { type BinanceRest, createBinanceRest } from "./rest.ts";

export const binance: Dialect = {
  name: "binance",
  open,
  decode,
  envelope: replies.envelope,
  subscribed: replies.subscribed,
  unsubscribed: (id) => replies.result(id, "null"),
  subscriptions: replies.subscriptions,
  // Binance has no ping, resync or cadence request, so nothing ever asks for these two.
  pong: (id) => replies.result(id, "null"),
  cadenceAccepted: (id) => replies.result(id, "null"),
  cadenceChanged: () => null,
  gap: () => null,
  property: (id, value) => replies.result(id, String(value)),
  refusal: replies.refusal,
  tooManySubscriptions: replies.tooManySubscriptions,
  drain: replies.drain,
};
