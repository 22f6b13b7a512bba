/**
 * Source `nats`: one subject of core NATS, wildcards allowed.
 *
 * On the path: subscription -> inbox -> NATS SOURCE -> pipeline. The record's value is a BrokerRecord with its own subject.
 * Invariants: records are counted from 0 across connections; whenever some may be missing (the connection was lost, the
 * server cut us off, the inbox was full) a `lost` record stands where they would be; nothing is handed on after an abort.
 * At the limit: core NATS cannot be paused, so a busy sink fills the inbox; what does not fit is dropped, counted and told.
 */
import type { NatsConnection, Subscription } from "@nats-io/transport-node";
import { type Clock, type Timer, wallMs } from "../../lib/clock.ts";
import type { NatsLink } from "../../lib/nats.ts";
import type { BrokerRecord, BrokerState } from "../broker.ts";
import type { Offset, RecordSink, Source, SourceState, SourceStatus } from "../source.ts";
import { turn, untilReady } from "../wait.ts";
import { Wake } from "../wake.ts";
import type { DeadLetters } from "./dead-letters.ts";
import { Inbox, type InboxLimits, LOSS } from "./inbox.ts";

export interface NatsSourceOptions {
  /** The data source's name. */
  readonly name: string;
  readonly subject: string;
  readonly link: NatsLink;
  /** The connection's. */
  readonly state: () => BrokerState;
  readonly limits: InboxLimits;
  readonly deadLetters: DeadLetters;
  readonly clock: Clock;
  /** Aborted when the broker is closed. */
  readonly closed: AbortSignal;
  /** The server refuses the subscription, with the reason; null: it does not. */
  readonly refused: (reason: string | null) => void;
}

/** Records handed on before the event loop gets its turn and the sink is asked again. */
const BATCH = 256;
/** So long after a refusal it is asked again: permissions may have changed. */
const REFUSED_MS = 5000;

export class NatsSource implements Source {
  readonly name: string;
  readonly replayable = false;
  readonly #options: NatsSourceOptions;
  readonly #wake = new Wake();
  #running = false;
  /** The server has taken the subscription that there is. */
  #confirmed = false;
  #refusal: { readonly reason: string; readonly retryAt: number } | null = null;
  #inbox: Inbox;
  #records = 0;
  #subscriptions = 0;
  #refusals = 0;
  #dropped = 0;
  #overflows = 0;
  #offset: Offset = 0;

  constructor(options: NatsSourceOptions) {
    this.name = options.name;
    this.#options = options;
    this.#inbox = new Inbox(options.limits);
  }

  status(): SourceStatus {
    const { deadLetters } = this.#options;
    return {
      state: this.#state(),
      lagMs: null,
      records: this.#records,
      reconnects: Math.max(0, this.#subscriptions - 1),
      counts: {
        overflowed: this.#overflows + this.#inbox.overflows,
        dropped: this.#dropped + this.#inbox.dropped,
        refused: this.#refusals,
        ...deadLetters.counts,
      },
    };
  }

  deadLetter(value: unknown, reason: string): void {
    this.#options.deadLetters.send(value, reason);
  }

  async run(sink: RecordSink, from: Offset | null, signal: AbortSignal): Promise<void> {
    const { link, limits, closed } = this.#options;
    const either = AbortSignal.any([signal, closed]);
    this.#offset = from === null ? 0 : from + 1;
    this.#overflows += this.#inbox.overflows;
    this.#dropped += this.#inbox.dropped;
    this.#inbox = new Inbox(limits);
    this.#running = true;
    const subscribing = new Subscribing(this.#options, {
      arrived: (topic, value) => {
        this.#inbox.push({ topic, value, receivedUs: this.#options.clock.wallUs() });
        this.#wake.call();
      },
      confirmed: () => {
        this.#confirmed = true;
        this.#subscriptions++;
        this.#refuse(null);
      },
      refused: (reason) => this.#refuse(reason),
      gone: () => {
        this.#confirmed = false;
        this.#inbox.lose();
        this.#wake.call();
      },
    });
    const watching = link.watch(subscribing);
    either.addEventListener("abort", this.#wake.call);
    try {
      while (!either.aborted) {
        await untilReady(sink, either);
        if (either.aborted) break;
        if (this.#hand(sink)) await this.#wake.wait();
        else await turn();
      }
    } finally {
      either.removeEventListener("abort", this.#wake.call);
      watching.close();
      subscribing.end();
      this.#running = false;
      this.#confirmed = false;
      this.#refuse(null);
    }
  }

  /** Hands on one batch; true when nothing is left. */
  #hand(sink: RecordSink): boolean {
    for (let i = 0; i < BATCH; i++) {
      const next = this.#inbox.take();
      if (next === null) return true;
      this.#records++;
      const offset = this.#offset++;
      if (next === LOSS) sink.accept({ type: "lost", offset, receivedUs: this.#options.clock.wallUs() });
      else {
        const value: BrokerRecord = { topic: next.topic, key: null, value: next.value, time: null };
        sink.accept({ type: "data", offset, receivedUs: next.receivedUs, value });
      }
    }
    return false;
  }

  #refuse(reason: string | null): void {
    const { clock, refused } = this.#options;
    if (reason !== null) this.#refusals++;
    this.#refusal = reason === null ? null : { reason, retryAt: wallMs(clock) + REFUSED_MS };
    if (reason !== null) this.#confirmed = false;
    refused(reason);
  }

  #state(): SourceState {
    if (!this.#running) return { name: "idle" };
    if (this.#confirmed) return { name: "connected" };
    const state = this.#options.state();
    if (state.name !== "connected") return state;
    const { reason: error, retryAt } = this.#refusal ?? { reason: "", retryAt: wallMs(this.#options.clock) };
    return { name: "connecting", attempt: this.#refusals + 1, retryAt, error };
  }
}

interface SubscribingPorts {
  arrived(topic: string, value: Uint8Array): void;
  /** The server has taken it. */
  confirmed(): void;
  refused(reason: string): void;
  /** It was confirmed, and nothing comes on it any more. */
  gone(): void;
}

/** Holds the subscription on each connection there is, and asks again where it is refused. */
class Subscribing {
  readonly #options: NatsSourceOptions;
  readonly #ports: SubscribingPorts;
  #subscription: Subscription | null = null;
  #confirmed = false;
  #again: Timer | null = null;

  constructor(options: NatsSourceOptions, ports: SubscribingPorts) {
    this.#options = options;
    this.#ports = ports;
  }

  up(connection: NatsConnection): void {
    const { subject } = this.#options;
    const subscription = connection.subscribe(subject, {
      callback: (error, message) => {
        if (this.#subscription !== subscription) return;
        if (error !== null) this.#refused(connection, error);
        else {
          this.#confirm();
          this.#ports.arrived(message.subject, message.data);
        }
      },
    });
    this.#subscription = subscription;
    this.#confirmed = false;
    connection.flush().then(
      () => this.#subscription === subscription && this.#confirm(),
      // The connection is gone: `down` says so.
      () => undefined,
    );
  }

  down(): void {
    const had = this.#confirmed;
    this.#drop();
    if (had) this.#ports.gone();
  }

  end(): void {
    this.#subscription?.unsubscribe();
    this.#drop();
  }

  #drop(): void {
    this.#again?.cancel();
    this.#again = null;
    this.#subscription = null;
    this.#confirmed = false;
  }

  #confirm(): void {
    if (this.#confirmed) return;
    this.#confirmed = true;
    this.#ports.confirmed();
  }

  /** The library has forgotten the subscription. */
  #refused(connection: NatsConnection, error: Error): void {
    const { subject, clock } = this.#options;
    this.down();
    this.#ports.refused(`the server does not let us read ${subject} (${error.message}): check the user's permissions`);
    this.#again = clock.after(REFUSED_MS, () => {
      if (!connection.isClosed()) this.up(connection);
    });
  }
}
