/** What a source topic may be, by the type of its broker: null, or what is wanted instead. */
import { refuseBusSubject } from "../../bus/subject.ts";
import { GatewayError } from "../../lib/errors.ts";
import type { BrokerType } from "./types.ts";

export const SYMBOL = "{symbol}";

export const holdsSymbol = (topic: string): boolean => topic.includes(SYMBOL);

export const isTwice = (topic: string): boolean => topic.split(SYMBOL).length > 2;

const KAFKA = /^[A-Za-z0-9._-]{1,249}$/;
const TOKEN = /^[^\s.*>\p{Cc}]+$/u;
const KEY_LENGTH_MAX = 512;

export function wantedSourceTopic(type: BrokerType, topic: string): string | null {
  if (isTwice(topic)) return "{symbol} at most once";
  switch (type) {
    case "kafka":
      return wantedOfKafka(topic);
    case "nats":
    case "jetstream":
      return wantedOfNats(topic);
    case "redis-stream":
      return /\p{Cc}/u.test(topic) || topic.length > KEY_LENGTH_MAX
        ? `a key of at most ${KEY_LENGTH_MAX} characters without control characters`
        : null;
  }
}

function wantedOfKafka(topic: string): string | null {
  const example = topic.replace(SYMBOL, "x");
  return KAFKA.test(example) && example !== "." && example !== ".."
    ? null
    : "a Kafka topic: at most 249 letters, digits, dots, dashes and underscores";
}

function wantedOfNats(subject: string): string | null {
  const tokens = subject.split(".");
  if (tokens.some((token) => token !== SYMBOL && token.includes(SYMBOL))) {
    return "{symbol} as a word of its own between dots, because it becomes the wildcard *";
  }
  const isSound = tokens.every(
    (token, at) =>
      token === SYMBOL || token === "*" || (token === ">" && at === tokens.length - 1) || TOKEN.test(token),
  );
  if (!isSound) return "a NATS subject: words joined by dots, * for one word, > for all at the end";
  try {
    refuseBusSubject(subject.replace(SYMBOL, "*"));
    return null;
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    return 'a subject whose first word is written out and not "tg", which belongs to the bus';
  }
}
