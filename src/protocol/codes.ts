/**
 * Every code a client or an operator can meet, in one table. The same numbers are metric labels and stand in docs/protocol.md.
 *
 * Errors (a reply; the session stays open): 10xx malformed, 11xx auth, 12xx channel, 13xx limits, 15xx node.
 * Closes: RFC 6455 numbers and our own from 4008 on.
 */
export interface CodeEntry {
  readonly code: number;
  readonly name: string;
  /** What happened. */
  readonly message: string;
  /** What the client should do. */
  readonly advice: string;
}

export const ERRORS = {
  BAD_JSON: {
    code: 1001,
    name: "BAD_JSON",
    message: "frame is not JSON",
    advice: "send one JSON object per text frame",
  },
  BAD_COMMAND: {
    code: 1002,
    name: "BAD_COMMAND",
    message: "command is malformed",
    advice: "see docs/protocol.md for the fields of each command",
  },
  UNKNOWN_OP: {
    code: 1003,
    name: "UNKNOWN_OP",
    message: "unknown op",
    advice: "use subscribe, unsubscribe, subscriptions, ping, resync or cadence",
  },
  BINARY_FRAME: {
    code: 1004,
    name: "BINARY_FRAME",
    message: "binary frames are not accepted",
    advice: "send text frames",
  },
  BAD_VALUE: {
    code: 1005,
    name: "BAD_VALUE",
    message: "a field has a wrong value",
    advice: "the message names the field",
  },
  LOGIN_REQUIRED: {
    code: 1101,
    name: "LOGIN_REQUIRED",
    message: "the channel is private",
    advice: "log in first",
  },
  BAD_CHANNEL_NAME: {
    code: 1201,
    name: "BAD_CHANNEL_NAME",
    message: "malformed channel name",
    advice: "[<market>:]<symbol>@<stream>, market and symbol in lower case",
  },
  NOT_SUBSCRIBED: { code: 1202, name: "NOT_SUBSCRIBED", message: "not subscribed", advice: "subscribe first" },
  UNKNOWN_CHANNEL: {
    code: 1203,
    name: "UNKNOWN_CHANNEL",
    message: "unknown channel",
    advice: "check the symbol and the stream",
  },
  TOO_MANY_SUBSCRIPTIONS: {
    code: 1301,
    name: "TOO_MANY_SUBSCRIPTIONS",
    message: "too many subscriptions",
    advice: "open another connection",
  },
  TOO_MANY_COMMANDS: {
    code: 1302,
    name: "TOO_MANY_COMMANDS",
    message: "too many commands",
    advice: "send fewer commands per second",
  },
  TOO_MANY_SESSIONS: {
    code: 1303,
    name: "TOO_MANY_SESSIONS",
    message: "too many sessions",
    advice: "close those you do not need",
  },
  TOO_MANY_CONNECTS: {
    code: 1304,
    name: "TOO_MANY_CONNECTS",
    message: "too many new sessions",
    advice: "wait as long as Retry-After says",
  },
  ADDRESS_REFUSED: {
    code: 1305,
    name: "ADDRESS_REFUSED",
    message: "this address may not connect",
    advice: "ask the operator",
  },
  ORIGIN_REFUSED: {
    code: 1306,
    name: "ORIGIN_REFUSED",
    message: "this page's origin may not connect",
    advice: "ask the operator to allow it",
  },
  UNAVAILABLE: { code: 1501, name: "UNAVAILABLE", message: "the channel's owner does not answer", advice: "try again" },
  NODE_FULL: {
    code: 1502,
    name: "NODE_FULL",
    message: "the node has all the sessions it may have",
    advice: "connect to another node, or wait as long as Retry-After says",
  },
  NODE_DRAINING: {
    code: 1503,
    name: "NODE_DRAINING",
    message: "the node is stopping",
    advice: "connect again, to another node if there is one",
  },
} as const satisfies Record<string, CodeEntry>;

export const CLOSES = {
  GOING_AWAY: { code: 1001, name: "GOING_AWAY", message: "worker restart", advice: "reconnect at once" },
  POLICY: { code: 1008, name: "POLICY", message: "Too many requests", advice: "slow down" },
  TOO_BIG: { code: 1009, name: "TOO_BIG", message: "frame too big", advice: "send smaller frames" },
  INTERNAL: { code: 1011, name: "INTERNAL", message: "internal error", advice: "reconnect; the node has logged it" },
  RESTART: {
    code: 1012,
    name: "RESTART",
    message: "continuity was lost",
    advice: "reconnect with `since`, or start over; the reason says why",
  },
  SLOW: { code: 4008, name: "SLOW", message: "too slow", advice: "read faster or subscribe to less" },
  IDLE: { code: 4009, name: "IDLE", message: "no sign of life", advice: "answer pings" },
  LOGIN_TIMEOUT: { code: 4010, name: "LOGIN_TIMEOUT", message: "no login in time", advice: "log in after connecting" },
  LISTEN_KEY: { code: 4011, name: "LISTEN_KEY", message: "listen key revoked or expired", advice: "make a new key" },
  LIFETIME: { code: 4012, name: "LIFETIME", message: "session reached its age limit", advice: "reconnect" },
  KICKED: { code: 4013, name: "KICKED", message: "closed by an operator", advice: "ask the operator" },
  SHED: { code: 4014, name: "SHED", message: "node over its limit", advice: "reconnect to another node" },
} as const satisfies Record<string, CodeEntry>;
