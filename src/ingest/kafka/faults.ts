/** What went wrong with a broker, in one sentence that names the address and says what to do. */
import { AuthenticationError } from "@platformatic/kafka";
import type { KafkaSettings } from "./properties.ts";

/** Codes of Kafka's protocol that we act on. */
export const KAFKA = {
  OFFSET_OUT_OF_RANGE: 1,
  CORRUPT_MESSAGE: 2,
  UNKNOWN_TOPIC: 3,
  LEADER_NOT_AVAILABLE: 5,
  NOT_LEADER: 6,
  COORDINATOR_LOADS: 14,
  COORDINATOR_NOT_AVAILABLE: 15,
  NOT_COORDINATOR: 16,
  INVALID_TOPIC: 17,
  UNKNOWN_MEMBER: 25,
  TOPIC_REFUSED: 29,
  GROUP_REFUSED: 30,
  CLUSTER_REFUSED: 31,
  FENCED_LEADER: 74,
  UNKNOWN_LEADER_EPOCH: 75,
  OFFSET_NOT_AVAILABLE: 78,
  UNKNOWN_TOPIC_ID: 100,
  INCONSISTENT_TOPIC_ID: 103,
} as const;

/** The error and everything behind it, nearest first. */
function* chainOf(error: unknown): Iterable<Error> {
  const waiting: unknown[] = [error];
  for (let seen = 0; waiting.length > 0 && seen < 20; seen++) {
    const one = waiting.shift();
    if (!(one instanceof Error)) continue;
    yield one;
    if (one instanceof AggregateError) waiting.push(...one.errors);
    waiting.push(one.cause);
  }
}

const codeOf = (error: Error): string => {
  const { code } = error as { code?: unknown };
  return typeof code === "string" ? code : "";
};

const apiOf = (error: Error): string => {
  const { apiId } = error as { apiId?: unknown };
  return typeof apiId === "string" ? apiId : "";
};

export function sentence(error: unknown, address: string, settings: KafkaSettings): string {
  const chain = [...chainOf(error)];
  const said = chain.map((one) => one.message).join(": ");
  const has = (...codes: string[]): boolean => chain.some((one) => codes.includes(codeOf(one)));
  const api = (id: string): boolean => chain.some((one) => apiOf(one) === id);
  if (api("UNSUPPORTED_SASL_MECHANISM")) {
    return `${address} does not offer sasl.mechanism ${settings.sasl?.mechanism}: use one it offers`;
  }
  if (api("SASL_AUTHENTICATION_FAILED") || chain.some((one) => one instanceof AuthenticationError)) {
    return `${address} refuses the credentials of user "${settings.sasl?.username}" (${settings.sasl?.mechanism}): correct sasl.username and sasl.password`;
  }
  if (has("ECONNREFUSED")) return `nobody listens on ${address}: start the broker, or correct bootstrap.servers`;
  if (has("ENOTFOUND", "EAI_AGAIN", "DNS_ENOTFOUND")) {
    return `the name of ${address} cannot be resolved: correct bootstrap.servers, or say with --addresses where it is`;
  }
  if (has("EHOSTUNREACH", "ENETUNREACH")) return `there is no route to ${address}: look at the network, or its address`;
  if (/requires TLS/.test(said)) return `${address} speaks TLS: set security.protocol to SSL or SASL_SSL`;
  if (has("ERR_TLS_CERT_ALTNAME_INVALID")) {
    return `the certificate of ${address} is for another name: use that name, or empty ssl.endpoint.identification.algorithm`;
  }
  if (
    /self.signed|unable to (get|verify)|UNABLE_TO|DEPTH_ZERO|certificate/i.test(
      `${said} ${chain.map(codeOf).join(" ")}`,
    )
  ) {
    return `the certificate of ${address} is not trusted (${chain.at(-1)?.message}): set ssl.ca.location`;
  }
  if (settings.tls !== null && /TLS|SSL/.test(said)) {
    return `${address} does not speak TLS: set security.protocol to PLAINTEXT or SASL_PLAINTEXT, or use its TLS port`;
  }
  if (/timed out/i.test(said)) return `${address} does not answer in time: it hangs, or the way to it is cut`;
  if (/connection closed|ECONNRESET|EPIPE/i.test(`${said} ${chain.map(codeOf).join(" ")}`)) {
    const why =
      settings.sasl === null ? "it stops, or wants another security.protocol" : "it stops, or refuses the login";
    return `${address} closed the connection: ${why}`;
  }
  return `${address}: ${said === "" ? String(error) : said}`;
}

/** Another broker has to be asked, or the same one again. */
export const isOfCoordinator = (errorCode: number): boolean =>
  errorCode >= KAFKA.COORDINATOR_LOADS && errorCode <= KAFKA.NOT_COORDINATOR;

/** Why a group's offset was not stored. */
export function commitFault(group: string, topic: string, errorCode: number): string {
  if (isOfCoordinator(errorCode)) return `the coordinator of group "${group}" is not there yet, or moves: tried again`;
  switch (errorCode) {
    case KAFKA.GROUP_REFUSED:
      return `Kafka does not let us commit for group "${group}": allow our user Read on it, or correct group.id`;
    case KAFKA.TOPIC_REFUSED:
      return `Kafka does not let us commit offsets of topic "${topic}": allow our user Read on it`;
    case KAFKA.UNKNOWN_MEMBER:
      return `group "${group}" has consumers of its own, which keep its offsets: name another one in group.id`;
    default:
      return `Kafka answers error ${errorCode} to offsets of group "${group}" and topic "${topic}"`;
  }
}

/** Why a topic cannot be read; null if it can. */
export function topicFault(topic: string, errorCode: number, address: string): string | null {
  switch (errorCode) {
    case 0:
    case KAFKA.LEADER_NOT_AVAILABLE:
      return null;
    case KAFKA.UNKNOWN_TOPIC:
    case KAFKA.UNKNOWN_TOPIC_ID:
      return `topic "${topic}" does not exist at ${address}: make it, or correct source_topic`;
    case KAFKA.TOPIC_REFUSED:
    case KAFKA.CLUSTER_REFUSED:
      return `${address} does not let us read topic "${topic}": allow our user Read and Describe on it`;
    case KAFKA.INVALID_TOPIC:
      return `"${topic}" cannot be the name of a Kafka topic: correct source_topic`;
    default:
      return `${address} answers error ${errorCode} for topic "${topic}"`;
  }
}
