/**
 * Checks the shape of what came over the bus, down to each publication's body, but not each item: the sender is a node.
 *
 * Every function returns what is wrong, as the path of the field, or null.
 */
type Fields = Record<string, unknown>;

const isObject = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isText = (value: unknown): value is string => typeof value === "string";
const isInteger = (value: unknown): boolean => Number.isSafeInteger(value);
const isIntegerOrNull = (value: unknown): boolean => value === null || Number.isSafeInteger(value);
const isBoolean = (value: unknown): boolean => typeof value === "boolean";
const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every(isText);
const isDepth = (value: unknown): boolean => isObject(value) && Array.isArray(value.bids) && Array.isArray(value.asks);

type Check = (value: unknown) => boolean;

const BODY: ReadonlyMap<unknown, Check> = new Map<unknown, Check>([
  ["snapshot", isDepth],
  ["delta", isDepth],
  ["value", isObject],
  ["items", Array.isArray],
  ["candles", Array.isArray],
  ["gap", isObject],
  ["stale", isText],
]);

const HEADER: readonly (readonly [string, Check])[] = [
  ["version", isInteger],
  ["shard", isText],
  ["token", isInteger],
  ["epoch", isText],
];
const PUBLICATION: readonly (readonly [string, Check])[] = [
  ["channel", isText],
  ["user", isText],
  ["kind", isText],
  ["seq", isInteger],
  ["prev", isIntegerOrNull],
  ["time", isInteger],
  ["receivedUs", isInteger],
];
const HEAD: readonly (readonly [string, Check])[] = [
  ...HEADER,
  ["offset", isIntegerOrNull],
  ["source", isText],
  ["provides", isTexts],
  ["full", isBoolean],
];
const REPLY: readonly (readonly [string, Check])[] = [
  ...HEADER,
  ["channel", isText],
  ["user", isText],
  ["seq", isIntegerOrNull],
  ["provides", isTexts],
  ["time", isInteger],
  ["stale", isBoolean],
];

function fieldProblem(value: unknown, fields: readonly (readonly [string, Check])[]): string | null {
  if (!isObject(value)) return "not an object";
  for (const [name, check] of fields) {
    if (!check(value[name])) return name;
  }
  return null;
}

function bodyProblem(body: unknown): string | null {
  if (!isObject(body)) return "not an object";
  const check = BODY.get(body.type);
  if (check === undefined) return "type";
  return check(body.data) ? null : "data";
}

function publicationsProblem(name: string, list: unknown): string | null {
  if (!Array.isArray(list)) return name;
  for (let i = 0; i < list.length; i++) {
    const problem = fieldProblem(list[i], PUBLICATION) ?? bodyProblem(list[i]);
    if (problem !== null) return `${name}[${i}].${problem}`;
  }
  return null;
}

export function messageProblem(body: unknown): string | null {
  return fieldProblem(body, HEADER) ?? publicationsProblem("publications", (body as Fields).publications);
}

export function headProblem(body: unknown): string | null {
  const problem = fieldProblem(body, HEAD);
  if (problem !== null) return problem;
  const { last, instruments } = body as Fields;
  if (instruments !== undefined && !isInteger(instruments)) return "instruments";
  if (!Array.isArray(last)) return "last";
  const wrong = last.findIndex(
    (entry) => !Array.isArray(entry) || !isText(entry[0]) || !isText(entry[1]) || !isInteger(entry[2]),
  );
  return wrong < 0 ? null : `last[${wrong}]`;
}

export function requestProblem(body: unknown): string | null {
  const problem = fieldProblem(body, [
    ["channel", isText],
    ["user", isText],
  ]);
  if (problem !== null) return problem;
  const since = (body as Fields).since;
  if (since === null) return null;
  return isObject(since) && isText(since.epoch) && isInteger(since.seq) ? null : "since";
}

export function replyProblem(body: unknown): string | null {
  if (body === null) return null;
  const problem = fieldProblem(body, REPLY);
  if (problem !== null) return problem;
  const reply = body as Fields;
  if (reply.state !== null) {
    const stateProblem = bodyProblem(reply.state);
    if (stateProblem !== null) return `state.${stateProblem}`;
  }
  const afterProblem = reply.after === null ? null : publicationsProblem("after", reply.after);
  return afterProblem ?? publicationsProblem("history", reply.history);
}
