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
import { Outage } from "../lib/outage.ts";

export type BrokerFactory = (tools: BrokerTools) => Broker;
/** Of the types that the configuration has. */
export type BrokerFactories = Readonly<Partial<Record<BrokerType, BrokerFactory>>>;

export class Brokers {
  readonly #factories: BrokerFactories;
  readonly #tools: Omit<BrokerTools, "name" | "properties">;
  readonly #log: Log;
  readonly #brokers = new Map<string, Broker>();
  /** As they were last seen. */
  readonly #told = new Map<string, { readonly outage: Outage; readonly text: string }>();

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
    for (const { name, type, state, missing } of this.status()) {
      const { outage, text: before } = this.#told.get(name) ?? { outage: this.#outage(), text: "" };
      const text = `${state.name}${missing.map(({ topic }) => ` ${topic}`).join("")}`;
      this.#told.set(name, { outage, text });
      const fields = { broker: name, type, state: state.name, missing };
      if (state.name === "connecting") {
        // Without an error the first attempt is under way.
        if (state.error !== "") outage.failed(state.error, fields, state.attempt);
        continue;
      }
      outage.worked();
      if (before === text) continue;
      if (state.name === "failed") this.#log.error("broker failed", { ...fields, error: state.reason });
      else if (missing.length > 0) this.#log.warn("broker has not all topics", fields);
      else this.#log.info("broker connected", fields);
    }
  }

  #outage(): Outage {
    const { clock } = this.#tools;
    return new Outage({ log: this.#log, clock, away: "broker cannot be reached", back: null });
  }

  async close(): Promise<void> {
    const brokers = [...this.#brokers.values()];
    this.#brokers.clear();
    await Promise.all(brokers.map((broker) => broker.close()));
  }
}
