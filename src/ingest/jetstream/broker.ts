/**
 * Broker `jetstream`: a source topic is one subject of a stream, and one subject is one input.
 *
 * Invariants: an input is told once its stream was found, since its source has to know which run of numbers it reads; what
 * cannot be found is told in `missing` and looked for again every RETRY_MS.
 */
import type { Broker, BrokerInput, BrokerStatus, BrokerTools, TopicPattern, Watch } from "../broker.ts";
import { BrokerProperties } from "../broker-properties.ts";
import { deadLetterFault } from "../nats/broker.ts";
import { type Connection, connectionOf } from "../nats/connection.ts";
import { DeadLetters } from "../nats/dead-letters.ts";
import { nameOfSubject, subjectFault, subjectOfPattern } from "../nats/subjects.ts";
import { sleep } from "../wait.ts";
import { incarnationOf } from "./place.ts";
import { JETSTREAM_PROPERTIES, type JetstreamSettings, settingsOf } from "./properties.ts";
import { type JetstreamTimes, TIMES } from "./session.ts";
import { JetstreamSource } from "./source.ts";
import { findStream, managerOf, type StreamChoice, sentenceOf } from "./streams.ts";

/** A stream that was missing is there at the latest so long after it was made. */
const RETRY_MS = 1000;

export const createJetstreamBroker = (tools: BrokerTools): Broker => new JetstreamBroker(tools);

export class JetstreamBroker implements Broker {
  readonly name: string;
  readonly #tools: BrokerTools;
  readonly #times: JetstreamTimes;
  readonly #settings: JetstreamSettings;
  readonly #connection: Connection;
  readonly #closed = new AbortController();
  /** Subjects that cannot be read, with the reason. */
  readonly #missing = new Map<string, string>();
  /** Which run of numbers each subject's stream has, as it was seen last. */
  readonly #incarnations = new Map<string, string>();
  /** Names of durable consumers that a source reads from. */
  readonly #durables = new Set<string>();

  constructor(tools: BrokerTools, times: JetstreamTimes = TIMES) {
    this.name = tools.name;
    this.#tools = tools;
    this.#times = times;
    const properties = new BrokerProperties(tools, JETSTREAM_PROPERTIES);
    this.#settings = settingsOf(properties);
    this.#connection = connectionOf(tools, properties);
  }

  watch(topic: TopicPattern, changed: (inputs: readonly BrokerInput[]) => void): Watch {
    const subject = subjectOfPattern(topic.text);
    const fault = subjectFault(subject) ?? deadLetterFault(subject, this.#connection.deadLetterSubject);
    if (fault !== null) {
      this.#missing.set(topic.text, fault);
      return { close: () => void this.#missing.delete(topic.text) };
    }
    const end = new AbortController();
    void this.#find(subject, changed, AbortSignal.any([end.signal, this.#closed.signal]));
    return {
      close: () => {
        end.abort();
        this.#missing.delete(subject);
      },
    };
  }

  status(): BrokerStatus {
    const missing = [...this.#missing].map(([topic, reason]) => ({ topic, reason }));
    const { state, counts } = this.#connection;
    return { name: this.name, type: "jetstream", state: state(), missing, counts: counts() };
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await this.#connection.link.close();
  }

  /** Looks for the stream until it is found. */
  async #find(subject: string, changed: (inputs: readonly BrokerInput[]) => void, signal: AbortSignal) {
    const { link } = this.#connection;
    const { clock, log } = this.#tools;
    const choice = this.#choiceOf(subject);
    while (!signal.aborted) {
      try {
        const connection = await link.connected(signal);
        const stream = await findStream(await managerOf(connection, choice.domain), choice);
        if (signal.aborted) return;
        this.#missing.delete(subject);
        this.#incarnations.set(subject, incarnationOf(stream));
        changed([{ id: subject, topic: subject, open: () => this.#source(choice) }]);
        return;
      } catch (cause) {
        if (signal.aborted) return;
        const { message } = sentenceOf(cause, choice);
        if (link.connection !== null && this.#missing.get(subject) !== message) {
          this.#missing.set(subject, message);
          log.warn("source topic cannot be read", { source: this.name, subject, error: message });
        }
      }
      await sleep(clock, RETRY_MS, signal);
    }
  }

  #choiceOf(subject: string): StreamChoice {
    const { stream, domain } = this.#settings;
    return { subject, stream, domain };
  }

  #source(choice: StreamChoice): JetstreamSource {
    const { clock, random, log } = this.#tools;
    const { link, deadLetterSubject, state } = this.#connection;
    const { subject } = choice;
    return new JetstreamSource({
      name: this.name,
      choice,
      begin: this.#settings.begin,
      claimDurable: () => this.#claimDurable(subject),
      releaseDurable: (name) => this.#durables.delete(name),
      incarnation: this.#incarnations.get(subject) ?? "",
      renewed: (incarnation) => void this.#incarnations.set(subject, incarnation),
      link,
      state,
      deadLetters: new DeadLetters({
        subject: deadLetterSubject,
        source: this.name,
        clock,
        connection: () => link.connection,
      }),
      times: this.#times,
      clock,
      random,
      log,
      closed: this.#closed.signal,
      missing: (reason) => {
        if (reason === null) this.#missing.delete(subject);
        else this.#missing.set(subject, reason);
      },
    });
  }

  /** A consumer gives each record to one reader: the second one of a subject reads without. */
  #claimDurable(subject: string): string | null {
    const { durableName } = this.#settings;
    if (durableName === null) return null;
    const name = `${durableName}_${nameOfSubject(subject)}`;
    if (this.#durables.has(name)) {
      this.#tools.log.warn("two routes read one subject: only the first one has the durable consumer", {
        source: this.name,
        subject,
        durable: name,
      });
      return null;
    }
    this.#durables.add(name);
    return name;
  }
}
