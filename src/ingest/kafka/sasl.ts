/** What the `sasl.*` properties say: how we log in. */
import type { SASLOptions } from "@platformatic/kafka";
import type { BrokerProperties } from "../broker-properties.ts";
import { parseJaas } from "./jaas.ts";
import { wordOf } from "./property-table.ts";

const MECHANISMS = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] as const;

export function saslOf(given: BrokerProperties): SASLOptions {
  const mechanism = wordOf(given, "sasl.mechanism", MECHANISMS, (text) => text.toUpperCase());
  const written = given.text("sasl.jaas.config") || null;
  const jaas = written === null ? null : parseJaas(written);
  if (written !== null && jaas === null) {
    throw given.wrong("sasl.jaas.config", 'must read <module> required username="..." password="...";');
  }
  if (jaas !== null && (jaas.module === "ScramLoginModule") !== mechanism.startsWith("SCRAM")) {
    throw given.wrong(
      "sasl.jaas.config",
      `has the module ${jaas.module}, which is not that of sasl.mechanism ${mechanism}`,
    );
  }
  const username = given.text("sasl.username") || jaas?.options.username || "";
  const password = given.text("sasl.password") || jaas?.options.password || "";
  if (username === "") throw given.wrong("sasl.username", "is missing: security.protocol asks for a login");
  if (password === "") throw given.wrong("sasl.password", "is missing: security.protocol asks for a login");
  return { mechanism, username, password };
}
