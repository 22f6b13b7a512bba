/**
 * Errors of this package: each has a code to act on, and says what is wrong and what to do.
 *
 * A number is the node's own code (docs/protocol.md, "Codes"), a word is one of ours.
 */
import type { ReplyError } from "./frames.ts";

/**
 * `BAD_OPTION`: an argument is wrong. `BAD_URL`: the address is none. `NO_WEBSOCKET`: this runtime has no WebSocket and
 * none was given. `CLOSED`: the client or the subscription was closed.
 */
export type ClientErrorCode = "BAD_OPTION" | "BAD_URL" | "NO_WEBSOCKET" | "CLOSED";

export class TidegateError extends Error {
  readonly code: number | ClientErrorCode;
  /** The subscription it is about; null: none. */
  readonly channel: string | null;
  /** What is wrong, without the channel and the code that `message` has around it. */
  readonly text: string;

  constructor(code: number | ClientErrorCode, text: string, channel: string | null = null) {
    super(typeof code === "number" ? `${channel === null ? "" : `${channel}: `}${text} (${code})` : text);
    this.name = "TidegateError";
    this.code = code;
    this.channel = channel;
    this.text = text;
  }
}

/** What the node refused, as an error about `channel`. */
export const refusal = ({ code, message }: ReplyError, channel: string): TidegateError =>
  new TidegateError(code, message, channel);

/** The node's codes after which the same command may succeed later: too many commands, and all that lie with the node. */
export const isPassing = (code: number): boolean => code === 1302 || (code >= 1500 && code < 1600);

/** The node does not have the channel. */
export const UNKNOWN_CHANNEL = 1203;
export const NOT_SUBSCRIBED = 1202;
export const TOO_MANY_COMMANDS = 1302;
