/** What the tests with a real NATS server share: brokers of ours, and a desk that makes streams and publishes. */
import { type JetStreamManager, jetstream, jetstreamManager, type StreamConfig } from "@nats-io/jetstream";
import { type ConnectionOptions, connect, type NatsConnection } from "@nats-io/transport-node";
import type { Broker, BrokerTools } from "../../src/ingest/broker.ts";
import { JetstreamBroker } from "../../src/ingest/jetstream/broker.ts";
import { createNatsBroker } from "../../src/ingest/nats/mod.ts";
import type { Source } from "../../src/ingest/source.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { waitFor } from "../lib/wait.ts";
import { Followed, KeptLog, plainTopic } from "./broker-rig.ts";

export function toolsOf(servers: string, properties: Readonly<Record<string, unknown>>, more: Partial<BrokerTools>) {
  return {
    name: "n",
    properties: { servers: [servers], reconnect_time_wait: 0.2, ...properties },
    clock: systemClock(),
    random: Math.random,
    log: new KeptLog(),
    resolveAddress: (hostPort: string) => hostPort,
    ...more,
  };
}

/** Brokers of a test file, all closed at its end. */
export class Brokers {
  readonly #made: Broker[] = [];
  readonly #url: () => string;

  constructor(url: () => string) {
    this.#url = url;
  }

  nats(properties: Readonly<Record<string, unknown>> = {}, more: Partial<BrokerTools> = {}, url = this.#url()): Broker {
    return this.#keep(createNatsBroker(toolsOf(url, properties, more)));
  }

  /** Looks at its streams often. */
  jetstream(
    properties: Readonly<Record<string, unknown>> = {},
    more: Partial<BrokerTools> = {},
    url = this.#url(),
  ): Broker {
    return this.#keep(new JetstreamBroker(toolsOf(url, properties, more), { lookMs: 200 }));
  }

  async close(): Promise<void> {
    await Promise.all(this.#made.map((broker) => broker.close()));
  }

  #keep(broker: Broker): Broker {
    this.#made.push(broker);
    return broker;
  }
}

/** The source of a subject's one input. */
export async function sourceOf(broker: Broker, subject: string): Promise<Source> {
  return (await new Followed(broker, plainTopic(subject)).one()).open();
}

/** Waits until the broker says that a subject cannot be read, and why. */
export async function missingReason(broker: Broker, subject: string): Promise<string> {
  const found = () => broker.status().missing.find(({ topic }) => topic === subject);
  await waitFor(
    () => found() !== undefined,
    () => `${subject} is missing: ${Bun.inspect(broker.status())}`,
  );
  return found()!.reason;
}

/** Publishes, and makes streams; its connection is made anew by the library when the server restarts. */
export class Desk {
  readonly #connection: NatsConnection;

  private constructor(connection: NatsConnection) {
    this.#connection = connection;
  }

  static async open(url: string, more: ConnectionOptions = {}): Promise<Desk> {
    return new Desk(
      await connect({ servers: url, maxReconnectAttempts: -1, reconnectTimeWait: 50, reconnectJitter: 0, ...more }),
    );
  }

  get connection(): NatsConnection {
    return this.#connection;
  }

  /** Publishes and waits until the server has it. */
  async say(subject: string, ...values: readonly string[]): Promise<void> {
    for (const value of values) this.#connection.publish(subject, value);
    await this.#connection.flush();
  }

  manager(): Promise<JetStreamManager> {
    return jetstreamManager(this.#connection, { checkAPI: false });
  }

  /** A stream of its subjects, in memory unless told otherwise. */
  async stream(name: string, subjects: readonly string[], more: Partial<StreamConfig> = {}): Promise<void> {
    await (await this.manager()).streams.add({ name, storage: "memory", ...more, subjects: [...subjects] });
  }

  /** Publishes into a stream, each acknowledged. */
  async store(subject: string, values: readonly string[]): Promise<void> {
    const client = jetstream(this.#connection);
    await Promise.all(values.map((value) => client.publish(subject, value, { retries: 20 })));
  }

  async close(): Promise<void> {
    await this.#connection.close();
  }
}
