/**
 * One connection to Redis, from its making to its end: it lives until it breaks, and then says why.
 *
 * Beside the path: redis.ts makes it. Invariants: every answer has a time limit; a server that lets it pass is hung, and its
 * connection is given up; what is wrong is a GatewayError with one sentence. At the limit: commands on their way when it ends
 * are rejected with the reason.
 */
import type { Cluster, Redis } from "ioredis";
import type { Clock } from "./clock.ts";
import { GatewayError } from "./errors.ts";
import { redisError } from "./redis-address.ts";

export type RedisArgument = string | number | Uint8Array;

export const ANSWER_MS_MAX = 3000;

export class RedisConnection {
  /** `host:port`, or the first of several. */
  readonly where: string;
  readonly #redis: Redis | Cluster;
  readonly #clock: Pick<Clock, "after">;
  readonly #closed = Promise.withResolvers<GatewayError>();
  /** What commands on their way are told when it ends. */
  readonly #pending = new Set<(reason: GatewayError) => void>();
  #open = true;
  #error: GatewayError | null = null;

  /** `redis` connects itself; `where`: what a sentence calls the server. */
  constructor(redis: Redis | Cluster, where: string, clock: Pick<Clock, "after">) {
    this.where = where;
    this.#redis = redis;
    this.#clock = clock;
    redis.on("end", () => this.close(this.#error ?? redisError("ECONNRESET", where)));
    redis.on("error", (error: unknown) => {
      this.#error = redisError(error, where);
    });
  }

  /** Settles with the reason when it is over. */
  get closed(): Promise<GatewayError> {
    return this.#closed.promise;
  }

  get isOpen(): boolean {
    return this.#open;
  }

  /** One command, its reply as text. Rejects with GatewayError; after `ms` without an answer the connection is given up. */
  call(command: string, args: readonly RedisArgument[], ms = ANSWER_MS_MAX): Promise<unknown> {
    return this.#within(command, this.#redis.call(command, args.map(wire)), ms);
  }

  /** The same with the reply's texts as bytes. */
  callBytes(command: string, args: readonly RedisArgument[], ms = ANSWER_MS_MAX): Promise<unknown> {
    return this.#within(command, this.#redis.callBuffer(command, args.map(wire)), ms);
  }

  /** Ends it at once; commands on their way reject with `reason`. */
  close(reason: GatewayError = new GatewayError("REDIS_CLOSED", "the connection was closed")): void {
    if (!this.#open) return;
    this.#open = false;
    this.#closed.resolve(reason);
    this.#redis.disconnect();
    for (const reject of this.#pending) reject(reason);
  }

  #within(command: string, reply: Promise<unknown>, ms: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const hung = (): void => {
        if (!this.#pending.has(fail)) return;
        this.close(new GatewayError("REDIS_TIMEOUT", `${this.where} does not answer ${command} within ${ms} ms`));
      };
      // After a stall of our own the answer may be here, unread: sockets have their turn first.
      const timer = this.#clock.after(ms, () => setImmediate(() => setImmediate(hung)));
      const over = (): void => {
        timer.cancel();
        this.#pending.delete(fail);
      };
      const fail = (error: unknown): void => {
        over();
        const ours = redisError(error, this.where);
        reject(ours);
        // A master that was replaced: another connection may find the new one.
        if (ours.code === "REDIS_READONLY") this.close(ours);
      };
      this.#pending.add(fail);
      reply.then((value) => {
        over();
        resolve(value);
      }, fail);
    });
  }
}

const wire = (argument: RedisArgument): string | number | Buffer =>
  argument instanceof Uint8Array ? Buffer.from(argument.buffer, argument.byteOffset, argument.byteLength) : argument;
