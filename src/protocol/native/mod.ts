/** The native dialect: JSON commands, replies and pushes with whole words. Its reference is docs/protocol.md. */
import { ERRORS } from "../codes.ts";
import type { Dialect } from "../dialect.ts";
import { decode } from "./decode.ts";
import * as replies from "./replies.ts";

export { nativeEncoder } from "./encode.ts";

export const native: Dialect = {
  name: "native",
  open: (market) => ({ market, form: { dialect: "native", timeUnit: "ms" }, combined: false, streams: [] }),
  decode,
  envelope: replies.envelope,
  subscribed: replies.subscribed,
  unsubscribed: replies.unsubscribed,
  subscriptions: replies.subscriptions,
  pong: replies.pong,
  cadenceAccepted: replies.cadenceAccepted,
  cadenceChanged: replies.cadenceChanged,
  gap: replies.gap,
  // No native command sets or reads a property.
  property: (id) => replies.refusal(id, ERRORS.UNKNOWN_OP.code, ERRORS.UNKNOWN_OP.message),
  refusal: replies.refusal,
  tooManySubscriptions: replies.tooManySubscriptions,
  drain: (_opening, _nowMs, afterMs) => replies.drain(afterMs),
};
