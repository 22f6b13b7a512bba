/**
 * Faults on purpose: a bus that loses, repeats and delays what one node receives, around any implementation.
 *
 * For tests and the seeded simulation. What is delayed is overtaken by what comes later, so delay is also reordering.
 * Invariant: without a fault (`NOW`) everything passes synchronously and unchanged.
 */
import type { Clock } from "../lib/clock.ts";
import { GatewayError } from "../lib/errors.ts";
import type { Bus, StateReply, StateRequest } from "./bus.ts";

/** One thing about to reach one node. */
export interface Delivery {
  readonly what: "publication" | "head" | "request" | "reply";
  /** The receiving (asking) node's name. */
  readonly node: string;
  /** '' for a request of a channel's state. */
  readonly shard: string;
  /** Fanout topic of a publication, else ''. */
  readonly topic: string;
  /** Of publications, requests and replies, else ''. */
  readonly channel: string;
  /** Seq of a publication (the last one of the message) or of the reply; null otherwise. */
  readonly seq: number | null;
}

export interface Faults {
  /** After how many ms it arrives: once per number, so none = lost, two = repeated. */
  fate(delivery: Delivery): readonly number[];
}

export const NOW: readonly number[] = [0];
export const LOST: readonly number[] = [];

export interface FaultRates {
  /** Probabilities from 0 to 1. */
  readonly drop: number;
  readonly duplicate: number;
  readonly delay: number;
  /** A delay is uniform in 1..delayMaxMs. */
  readonly delayMaxMs: number;
}

export interface SeededFaults extends Faults {
  /** From now on. */
  setRates(rates: Partial<FaultRates>): void;
  /** No faults from now on; what is delayed still arrives late. */
  calm(): void;
}

const CALM: FaultRates = { drop: 0, duplicate: 0, delay: 0, delayMaxMs: 1 };

/** Random faults that a seed repeats. */
export function createFaults(seed: number, rates: Partial<FaultRates> = {}): SeededFaults {
  const random = mulberry32(seed);
  let current: FaultRates = { ...CALM, ...rates };
  const delay = (): number => (random() < current.delay ? 1 + Math.floor(random() * current.delayMaxMs) : 0);
  return {
    fate() {
      if (random() < current.drop) return LOST;
      if (random() < current.duplicate) return [delay(), delay()];
      return [delay()];
    },
    setRates(changed) {
      current = { ...current, ...changed };
    },
    calm() {
      current = CALM;
    },
  };
}

export interface FaultyOptions {
  readonly node: string;
  readonly clock: Clock;
  readonly faults: Faults;
  /** After this a lost request or reply rejects. */
  readonly requestTimeoutMs: number;
}

/** `bus` as seen by a node behind a bad network: faults act on what it receives, not on what it sends. */
export function withFaults(bus: Bus, options: FaultyOptions): Bus {
  const { node, clock, faults, requestTimeoutMs } = options;
  let closed = false;

  const deliver = (delivery: Delivery, call: () => void): void => {
    for (const ms of faults.fate(delivery)) {
      if (ms === 0) call();
      else clock.after(ms, call);
    }
  };

  const request = (asked: StateRequest): Promise<StateReply | null> =>
    new Promise((resolve, reject) => {
      const timer = clock.after(requestTimeoutMs, () =>
        reject(new GatewayError("BUS_NO_ANSWER", `no owner answered for ${asked.channel} in time`)),
      );
      const fail = (error: unknown): void => {
        timer.cancel();
        reject(error);
      };
      const { channel } = asked;
      deliver({ what: "request", node, shard: "", topic: "", channel, seq: null }, () => {
        bus.request(asked).then((reply) => {
          const shard = reply?.shard ?? "";
          deliver({ what: "reply", node, shard, topic: "", channel, seq: reply?.seq ?? null }, () => {
            timer.cancel();
            resolve(reply);
          });
        }, fail);
      });
    });

  return {
    publish: (header, topic, publication) => bus.publish(header, topic, publication),
    wanted: (topic) => bus.wanted(topic),
    head: (head) => bus.head(head),
    serve: (shard, answer, head) => bus.serve(shard, answer, head),
    subscribe(topic, receive) {
      let open = true;
      const subscription = bus.subscribe(topic, (message) => {
        const last = message.publications.at(-1);
        const delivery = { node, shard: message.shard, topic, channel: last?.channel ?? "", seq: last?.seq ?? null };
        deliver({ what: "publication", ...delivery }, () => {
          if (open && !closed) receive(message);
        });
      });
      return {
        close() {
          open = false;
          subscription.close();
        },
      };
    },
    heads(receive) {
      let open = true;
      const subscription = bus.heads((head) =>
        deliver({ what: "head", node, shard: head.shard, topic: "", channel: "", seq: null }, () => {
          if (open && !closed) receive(head);
        }),
      );
      return {
        close() {
          open = false;
          subscription.close();
        },
      };
    },
    request,
    headOf: (shard, timeoutMs) =>
      new Promise((resolve, reject) => {
        const timer = clock.after(timeoutMs, () =>
          reject(new GatewayError("BUS_NO_ANSWER", `no owner of ${shard} answered in time`)),
        );
        const fail = (error: unknown): void => {
          timer.cancel();
          reject(error);
        };
        const asked = { node, shard, topic: "", channel: "", seq: null };
        deliver({ what: "request", ...asked }, () => {
          bus.headOf(shard, timeoutMs).then((head) => {
            deliver({ what: "reply", ...asked }, () => {
              timer.cancel();
              resolve(head);
            });
          }, fail);
        });
      }),
    flushed: () => bus.flushed(),
    state: () => bus.state(),
    close() {
      closed = true;
      return bus.close();
    },
  };
}

/** Small seeded generator: uniform in [0, 1). */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
