/** Replies of Binance's REST API: its JSON, its numbers and words for what is wrong with a request. */

export interface RestReply {
  readonly status: number;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const JSON_HEADERS = { "content-type": "application/json;charset=UTF-8" } as const;

export function ok(body: string): RestReply {
  return { status: 200, body, headers: JSON_HEADERS };
}

export function fail(status: number, code: number, msg: string): RestReply {
  return { status, body: JSON.stringify({ code, msg }), headers: JSON_HEADERS };
}

const TRY_AGAIN = "Internal error; unable to process your request. Please try again.";

export const UNAVAILABLE = fail(503, -1001, TRY_AGAIN);
export const TOO_MANY_REQUESTS: RestReply = {
  ...fail(429, -1003, "Too many requests; please wait and try again, or use the WebSocket streams."),
  headers: { ...JSON_HEADERS, "retry-after": "1" },
};

/** A request that cannot be answered: thrown while it is read, caught where replies are made. */
export class Refusal extends Error {
  readonly reply: RestReply;

  constructor(reply: RestReply) {
    super(reply.body);
    this.reply = reply;
  }
}

const bad = (code: number, msg: string): Refusal => new Refusal(fail(400, code, msg));

/** What can be wrong with a request, in the order of the codes. */
export const refuse = {
  startAfterEnd: () => bad(-1023, "Start time is greater than end time."),
  illegal: (name: string, range: string) =>
    bad(-1100, `Illegal characters found in parameter '${name}'; legal range is '${range}'.`),
  duplicate: () => bad(-1101, "Duplicate values for a parameter detected."),
  tooMany: (sent: number) => bad(-1101, `Too many parameters; expected '0' and received '${sent}'.`),
  mandatory: (name: string) => bad(-1102, `Mandatory parameter '${name}' was not sent, was empty/null, or malformed.`),
  eitherOf: (a: string, b: string) => bad(-1102, `Param '${a}' or '${b}' must be sent, but both were empty/null!`),
  unread: (read: number, sent: number) =>
    bad(-1104, `Not all sent parameters were read; read '${read}' parameter(s) but was sent '${sent}'.`),
  empty: (name: string) => bad(-1105, `Parameter '${name}' was empty.`),
  interval: () => bad(-1120, "Invalid interval."),
  symbol: () => bad(-1121, "Invalid symbol."),
  moreThanHours: (hours: number) => bad(-1127, `More than ${hours} hours between startTime and endTime.`),
  combination: () => bad(-1128, "Combination of optional parameters invalid."),
  invalid: (name: string) => bad(-1130, `Data sent for parameter '${name}' is not valid.`),
  depthLimit: (limit: string) => bad(-4021, `${limit} is not valid depth limit.`),
} as const;
