/**
 * The brokers of a configuration: one per data source that a route uses, made by its type.
 *
 * Invariants: a mistake in the properties is thrown at once (GatewayError BROKER_PROPERTIES), a server that cannot be reached
 * is told in `status` and never thrown; two routes over one data source share its broker.
 */
import type { BrokerType, DataSourceSpec } from "../config/dynamic/types.ts";
import type { Broker, BrokerStatus, BrokerTools } from "../ingest/broker.ts";
import { assert } from "../lib/errors.ts";
import type { Log } from "../lib/log.ts";
import { REMIND_MS } from "../lib/outage.ts";

export type BrokerFactory = (tools: BrokerTools) => Broker;
/** Of the types that the configuration has. */
export type BrokerFactories = Readonly<Partial<Record<BrokerType, BrokerFactory>>>;

export class Brokers {
  readonly #factories: BrokerFactories;
  readonly #tools: Omit<BrokerTools, "name" | "properties">;
  readonly #log: Log;
  readonly #brokers = new Map<string, Broker>();
  /** As they were last logged, and when that is to be said again (monotonic ms) where it is nothing good. */
  readonly #told = new Map<string, { readonly text: string; readonly remindMs: number }>();

  constructor(factories: BrokerFactories, tools: Omit<BrokerTools, "name" | "properties">, log: Log) {
    this.#factories = factories;
    this.#tools = tools;
    this.#log = log;
  }

  /** The broker of a data source, made when it is first asked for. */
  open({ name, type, properties }: DataSourceSpec): Broker {
    const known = this.#brokers.get(name);
    if (known !== undefined) return known;
    const factory = this.#factories[type];
    assert(factory !== undefined, `a broker of type ${type} was loaded for data source ${name}`);
    const broker = factory({ ...this.#tools, name, properties });
    this.#brokers.set(name, broker);
    return broker;
  }

  status(): BrokerStatus[] {
    return [...this.#brokers.values()].map((broker) => broker.status());
  }

  /** Logs what has changed since the last look: a line per change, none per attempt, a reminder while one is away. */
  look(): void {
    const now = this.#tools.clock.monotonicMs();
    for (const { name, type, state, missing } of this.status()) {
      const text = `${state.name}${missing.map(({ topic }) => ` ${topic}`).join("")}`;
      const before = this.#told.get(name);
      if (before?.text === text && now < before.remindMs) continue;
      // The first attempt is under way.
      if (state.name === "connecting" && state.error === "") continue;
      this.#told.set(name, { text, remindMs: state.name === "connected" ? Number.POSITIVE_INFINITY : now + REMIND_MS });
      const fields = { broker: name, type, state: state.name, missing };
      if (state.name === "connecting") {
        this.#log.warn("broker cannot be reached", { ...fields, reason: state.error, attempt: state.attempt });
      } else if (state.name === "failed") this.#log.error("broker failed", { ...fields, reason: state.reason });
      else if (missing.length > 0) this.#log.warn("broker has not all topics", fields);
      else this.#log.info("broker connected", fields);
    }
  }

  async close(): Promise<void> {
    const brokers = [...this.#brokers.values()];
    this.#brokers.clear();
    await Promise.all(brokers.map((broker) => broker.close()));
  }
}
