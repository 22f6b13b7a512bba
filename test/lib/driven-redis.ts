/** A real Redis with a driver of it: for one test, or for all tests of a file. */
import { afterAll, beforeAll } from "bun:test";
import { RedisDriver } from "./redis-driver.ts";
import { type RedisServer, startRedis } from "./services/mod.ts";
import { TEST_MS_MAX } from "./wait.ts";

export class DrivenRedis implements AsyncDisposable {
  readonly server: RedisServer;
  readonly driver: RedisDriver;

  private constructor(server: RedisServer) {
    this.server = server;
    this.driver = new RedisDriver(server.url);
  }

  /** What it was told is on disk when it answers: killed without that, it forgets entries that it gave out. */
  static async start(): Promise<DrivenRedis> {
    return new DrivenRedis(await startRedis({ settings: ["appendfsync always"] }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.driver.close();
    await this.server.stop();
  }
}

/** One for all tests of a file, there while they run. */
export function redisOfFile(): Pick<DrivenRedis, "server" | "driver"> {
  let redis: DrivenRedis;
  beforeAll(async () => {
    redis = await DrivenRedis.start();
  }, TEST_MS_MAX);
  afterAll(() => redis?.[Symbol.asyncDispose]());
  return {
    get server() {
      return redis.server;
    },
    get driver() {
      return redis.driver;
    },
  };
}
