/**
 * Broker `nats`: core NATS. A source topic is one subject, and one subject is one input.
 *
 * Invariant: a subject is known at once, since in core NATS none can be missing; what the server refuses to be read is.
 */
import { GatewayError } from "../../lib/errors.ts";
import type { Broker, BrokerInput, BrokerProperty, BrokerStatus, BrokerTools, TopicPattern, Watch } from "../broker.ts";
import { asTable, BrokerProperties } from "../broker-properties.ts";
import { CONNECTION_PROPERTIES, type Connection, connectionOf } from "./connection.ts";
import { DeadLetters } from "./dead-letters.ts";
import type { InboxLimits } from "./inbox.ts";
import { NatsSource } from "./source.ts";
import { covers, subjectFault, subjectOfPattern } from "./subjects.ts";

export const NATS_PROPERTIES: readonly BrokerProperty[] = [
  ...CONNECTION_PROPERTIES,
  ...asTable([
    [
      "pending_msgs_limit",
      "number",
      "131072",
      "Records of one subject that may wait while we are busy. Beyond it they are dropped, counted (`dropped`) and told as lost.",
    ],
    ["pending_bytes_limit", "number", "67108864", "The same in bytes."],
  ]),
];

export const createNatsBroker = (tools: BrokerTools): Broker => new NatsBroker(tools);

class NatsBroker implements Broker {
  readonly name: string;
  readonly #tools: BrokerTools;
  readonly #connection: Connection;
  readonly #limits: InboxLimits;
  readonly #closed = new AbortController();
  /** Subjects that cannot be read, with the reason. */
  readonly #missing = new Map<string, string>();

  constructor(tools: BrokerTools) {
    this.name = tools.name;
    this.#tools = tools;
    refuseQueue(tools);
    const properties = new BrokerProperties(tools, NATS_PROPERTIES);
    this.#limits = {
      records: properties.number("pending_msgs_limit", 1, 1e8) ?? 131_072,
      bytes: properties.number("pending_bytes_limit", 1024, 1e10) ?? 64 * 1024 * 1024,
    };
    this.#connection = connectionOf(tools, properties);
  }

  watch(topic: TopicPattern, changed: (inputs: readonly BrokerInput[]) => void): Watch {
    const subject = subjectOfPattern(topic.text);
    const fault = subjectFault(subject) ?? deadLetterFault(subject, this.#connection.deadLetterSubject);
    if (fault !== null) {
      this.#missing.set(topic.text, fault);
      return { close: () => void this.#missing.delete(topic.text) };
    }
    let open = true;
    queueMicrotask(() => {
      if (open) changed([{ id: subject, topic: subject, open: () => this.#source(subject) }]);
    });
    return {
      close: () => {
        open = false;
      },
    };
  }

  status(): BrokerStatus {
    const missing = [...this.#missing].map(([topic, reason]) => ({ topic, reason }));
    const { state, counts } = this.#connection;
    return { name: this.name, type: "nats", state: state(), missing, counts: counts() };
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await this.#connection.link.close();
  }

  #source(subject: string): NatsSource {
    const { clock } = this.#tools;
    const { link, deadLetterSubject, state } = this.#connection;
    return new NatsSource({
      name: this.name,
      subject,
      link,
      state,
      limits: this.#limits,
      deadLetters: new DeadLetters({
        subject: deadLetterSubject,
        source: this.name,
        clock,
        connection: () => link.connection,
      }),
      clock,
      closed: this.#closed.signal,
      refused: (reason) => {
        if (reason === null) this.#missing.delete(subject);
        else this.#missing.set(subject, reason);
      },
    });
  }
}

/** Each member of a queue group gets a part of the records; a shard needs all of them. */
function refuseQueue({ name, properties }: BrokerTools): void {
  if (properties.queue === undefined || properties.queue === null || properties.queue === "") return;
  throw new GatewayError(
    "BROKER_PROPERTIES",
    `data source ${name}: property "queue" is refused: of a queue group each member gets a part, and a part of the records makes wrong books; remove it`,
  );
}

/** Null, or why what is read there would be our own dead letters. */
export const deadLetterFault = (subject: string, deadLetters: string | null): string | null =>
  deadLetters !== null && covers(subject, deadLetters)
    ? `${JSON.stringify(subject)} holds the dead letters (${deadLetters}): use a dead_letter_subject outside of it`
    : null;
