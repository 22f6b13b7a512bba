/** A connection to a real Redis for tests: commands, and entries added in bulk. */

import type { TopicPattern } from "../../src/ingest/broker.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { type RedisArgument, RedisLink } from "../../src/lib/redis.ts";
import { type RedisSettings, readRedisSettings } from "../../src/lib/redis-address.ts";

export class RedisDriver implements AsyncDisposable {
  readonly #link: RedisLink;

  /** `more`: that the server is one of a cluster, or a sentinel. */
  constructor(url: string, more: Omit<RedisSettings, "servers"> = {}) {
    const target = readRedisSettings({ servers: [url], ...more });
    this.#link = new RedisLink({ target, name: "test", clock: systemClock() }, Math.random);
  }

  call(command: string, ...args: RedisArgument[]): Promise<unknown> {
    return this.#link.call(command, args);
  }

  /** Adds one entry `{data: text}` for each text; ids are the server's. */
  async add(key: string, texts: readonly string[], ...trim: RedisArgument[]): Promise<void> {
    for (let at = 0; at < texts.length; at += 1000) {
      await Promise.all(texts.slice(at, at + 1000).map((text) => this.call("XADD", key, ...trim, "*", "data", text)));
    }
  }

  close(): Promise<void> {
    return this.#link.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** `0`, `1`, ... as JSON objects. */
export const numbered = (count: number, from = 0): string[] =>
  Array.from({ length: count }, (_, index) => JSON.stringify({ n: from + index }));

/** A pattern without a symbol, or one whose topics the test decides. */
export const topicOf = (text: string, topics: () => readonly string[] = () => [text]): TopicPattern => ({
  text,
  symbolOf: (topic) => (topics().includes(topic) ? "" : null),
  topics,
});
