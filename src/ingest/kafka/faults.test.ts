import { expect, test } from "bun:test";
import { AuthenticationError, MultipleErrors, NetworkError, ProtocolError, TimeoutError } from "@platformatic/kafka";
import { told } from "./cluster.ts";
import { commitFault, sentence } from "./faults.ts";
import type { KafkaSettings } from "./properties.ts";

const PLAIN = { tls: null, sasl: null } as KafkaSettings;
const SECURE = { tls: {}, sasl: { mechanism: "PLAIN", username: "u", password: "p" } } as KafkaSettings;
const coded = (code: string): Error => Object.assign(new Error(code), { code });
const network = (cause: Error): Error =>
  new MultipleErrors("Cannot connect to any broker.", [new NetworkError("Connection to k:9092 failed.", { cause })]);

test("kafka faults - one sentence that names the address and says what to do", () => {
  const say = (error: unknown, settings = PLAIN): string => sentence(error, "k:9092", settings);
  expect(say(network(coded("ECONNREFUSED")))).toBe(
    "nobody listens on k:9092: start the broker, or correct bootstrap.servers",
  );
  for (const code of ["ENOTFOUND", "EAI_AGAIN", "DNS_ENOTFOUND"]) {
    expect(say(network(coded(code)))).toStartWith("the name of k:9092 cannot be resolved: correct bootstrap.servers");
  }
  expect(say(new TimeoutError("Connection to 10.0.0.1:9092 timed out."))).toStartWith("k:9092 does not answer in time");
  expect(say(new NetworkError("Connection closed"))).toBe(
    "k:9092 closed the connection: it stops, or wants another security.protocol",
  );
  expect(say(network(coded("ECONNRESET")), SECURE)).toBe(
    "k:9092 closed the connection: it stops, or refuses the login",
  );
  expect(say(network(new AuthenticationError("SASL authentication failed.")), SECURE)).toBe(
    'k:9092 refuses the credentials of user "u" (PLAIN): correct sasl.username and sasl.password',
  );
  expect(say(network(new ProtocolError("UNSUPPORTED_SASL_MECHANISM")), SECURE)).toBe(
    "k:9092 does not offer sasl.mechanism PLAIN: use one it offers",
  );
  expect(say(network(coded("ERR_TLS_CERT_ALTNAME_INVALID")), SECURE)).toContain("is for another name");
  expect(say(new Error("something new"))).toBe("k:9092: something new");
  expect(say("odd")).toBe("k:9092: odd");
});

test("kafka faults - the address that was dialled is named, and which one that is by --addresses", () => {
  const say = (resolve: (named: string) => string): string =>
    told(network(coded("ECONNREFUSED")), "k:9092", { settings: PLAIN, resolve }).message;
  expect(say((named) => named)).toStartWith("nobody listens on k:9092: start");
  expect(say(() => "127.0.0.1:9999")).toStartWith("nobody listens on 127.0.0.1:9999 (k:9092 by --addresses): start");
});

test("kafka faults - why an offset is not committed", () => {
  expect(commitFault("g", "t", 16)).toBe('the coordinator of group "g" is not there yet, or moves: tried again');
  expect(commitFault("g", "t", 25)).toBe(
    'group "g" has consumers of its own, which keep its offsets: name another one in group.id',
  );
  expect(commitFault("g", "t", 29)).toContain('offsets of topic "t": allow our user Read on it');
  expect(commitFault("g", "t", 30)).toContain('for group "g": allow our user Read on it');
  expect(commitFault("g", "t", 12)).toContain("error 12");
});
