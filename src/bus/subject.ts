/**
 * Names on the bus: `tg.<cluster>.<fanout_topic>`, private ones with `.<userHash>` appended.
 *
 * Beside them `tgc.<cluster>.<name>`: what nodes say to each other (HEADs, requests, answers).
 *
 * Invariant: nothing but the bus lives under `tg.` and `tgc.`, so a source may not read there (it would read its own
 * output).
 */
import { GatewayError } from "../lib/errors.ts";

const ROOT = "tg";
const CONTROL_ROOT = "tgc";
/** Dot-separated tokens without blanks, wildcards or control characters, as NATS wants them. */
const TOKENS = /^[^\s.*>\p{Cc}]+(\.[^\s.*>\p{Cc}]+)*$/u;
const TOKEN = /^[^\s.*>\p{Cc}]+$/u;

/** Throws GatewayError BAD_SUBJECT if a part could not stand in a subject. */
export function subjectOf(cluster: string, topic: string, userHash = ""): string {
  if (!TOKEN.test(cluster)) throw bad(`cluster name ${JSON.stringify(cluster)} must be one word without . * >`);
  if (!TOKENS.test(topic)) throw bad(`fanout topic ${JSON.stringify(topic)} must be words joined by dots, without * >`);
  if (userHash === "") return `${ROOT}.${cluster}.${topic}`;
  if (!TOKEN.test(userHash)) throw bad(`user hash ${JSON.stringify(userHash)} must be one word without . * >`);
  return `${ROOT}.${cluster}.${topic}.${userHash}`;
}

/** Where nodes speak to each other: `heads`, `ask`, `answer.<node>`. Throws GatewayError BAD_SUBJECT. */
export function controlSubject(cluster: string, name: string): string {
  if (!TOKEN.test(cluster)) throw bad(`cluster name ${JSON.stringify(cluster)} must be one word without . * >`);
  if (!TOKENS.test(name)) throw bad(`node name ${JSON.stringify(name)} must be words joined by dots, without * >`);
  return `${CONTROL_ROOT}.${cluster}.${name}`;
}

/** Throws GatewayError SUBJECT_RESERVED if a source that reads `subject` could read what the bus itself sends. */
export function refuseBusSubject(subject: string): void {
  const first = subject.split(".", 1)[0];
  if (first === ROOT || first === CONTROL_ROOT || first === "*" || first === ">") {
    throw new GatewayError(
      "SUBJECT_RESERVED",
      `source subject ${JSON.stringify(subject)} reaches into "${ROOT}." or "${CONTROL_ROOT}.", which belong to the bus: use another subject`,
    );
  }
}

const bad = (message: string): GatewayError => new GatewayError("BAD_SUBJECT", message);
