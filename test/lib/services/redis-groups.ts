/**
 * Real Redis servers that know each other: a cluster of three masters, of which the last has a replica; a sentinel.
 *
 * Nothing fails over by itself on a machine that is slow for a moment: a test says when (`failOver`). Wants Redis 7.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { slotOf } from "../../../src/lib/redis-slot.ts";
import { RedisDriver } from "../redis-driver.ts";
import { untilWorks, waitFor } from "../wait.ts";
import { answer } from "./greeting.ts";
import { obtain } from "./obtain.ts";
import { type RedisServer, startRedis } from "./redis.ts";
import { RealServer } from "./server.ts";

const SLOTS = 16_384;
const MASTERS = 3;

/** Replicas are there at once, not after the five seconds that others might join in. */
export const REPLICATED = ["repl-diskless-sync-delay 0"];

interface Member {
  readonly server: RedisServer;
  readonly at: RedisDriver;
  readonly id: string;
}

export class RedisCluster implements AsyncDisposable {
  readonly #members: readonly Member[];

  private constructor(members: readonly Member[]) {
    this.#members = members;
  }

  static async start(): Promise<RedisCluster> {
    const members = await Promise.all(Array.from({ length: MASTERS + 1 }, startMember));
    const cluster = new RedisCluster(members);
    try {
      await cluster.#join();
    } catch (error) {
      await cluster[Symbol.asyncDispose]();
      throw error;
    }
    return cluster;
  }

  /** Of the masters, in the order of their slots. */
  get urls(): string[] {
    return this.#members.slice(0, MASTERS).map(({ server }) => server.url);
  }

  /** Which master has a key's slot at the start. */
  ownerOf(key: string): number {
    return Math.floor((slotOf(key) * MASTERS) / SLOTS);
  }

  /** The last master is killed; its replica, which has all of its data by then, takes its slots. */
  async failOver(): Promise<void> {
    const [master, replica] = this.#members.slice(-2) as [Member, Member];
    await waitFor(
      async () => (await offsetOf(replica)) === (await offsetOf(master)),
      "the replica has what its master has",
    );
    await master.server.kill();
    await replica.at.call("CLUSTER", "FAILOVER", "TAKEOVER");
  }

  /** A key's slot goes from one master to another, as `redis-cli --cluster reshard` does it. */
  async move(key: string, from: number, to: number): Promise<void> {
    const [source, target] = [this.#members[from]!, this.#members[to]!];
    const slot = slotOf(key);
    await target.at.call("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id);
    await source.at.call("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id);
    await source.at.call("MIGRATE", target.server.host, target.server.port, key, 0, 5000);
    for (const { at } of [target, source]) await at.call("CLUSTER", "SETSLOT", slot, "NODE", target.id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#members.map(({ at }) => at.close()));
    await Promise.all(this.#members.map(({ server }) => server.stop()));
  }

  async #join(): Promise<void> {
    const [first, ...others] = this.#members as [Member, ...Member[]];
    const borders = Array.from({ length: MASTERS + 1 }, (_, at) => Math.ceil((at * SLOTS) / MASTERS));
    for (const [at, member] of this.#members.entries()) {
      await member.at.call("CLUSTER", "SET-CONFIG-EPOCH", at + 1);
      if (at < MASTERS) await member.at.call("CLUSTER", "ADDSLOTSRANGE", borders[at]!, borders[at + 1]! - 1);
    }
    for (const { server, at } of others) {
      const port = Number(((await at.call("CONFIG", "GET", "cluster-port")) as string[])[1]);
      await first.at.call("CLUSTER", "MEET", server.host, server.port, port);
    }
    const whole = ["cluster_state:ok", `cluster_slots_ok:${SLOTS}`, `cluster_known_nodes:${this.#members.length}`];
    await this.#all(whole);
    const [master, replica] = this.#members.slice(-2) as [Member, Member];
    await replica.at.call("CLUSTER", "REPLICATE", master.id);
    await waitFor(
      async () => String(await replica.at.call("INFO", "replication")).includes("master_link_status:up"),
      "the replica has its master's data",
    );
  }

  async #all(words: readonly string[]): Promise<void> {
    for (const { at } of this.#members) {
      let said = "";
      await waitFor(
        async () => {
          said = String(await at.call("CLUSTER", "INFO"));
          return words.every((word) => said.includes(`${word}\r\n`));
        },
        () => `a node says ${words}: ${said}`,
      );
    }
  }
}

async function startMember(): Promise<Member> {
  const settings = ["cluster-require-full-coverage no", ...REPLICATED];
  const server = await startRedis({ cluster: true, settings });
  const at = new RedisDriver(server.url);
  return { server, at, id: String(await at.call("CLUSTER", "MYID")) };
}

/** How much of what was written a server has. */
async function offsetOf({ at }: Member): Promise<number> {
  return Number(/^master_repl_offset:(\d+)/m.exec(String(await at.call("INFO", "replication")))?.[1]);
}

/** Far longer than any test: it takes nobody for dead by itself. */
const NEVER_MS = 600_000;

/** A sentinel that knows the master `main`. */
export class RedisSentinel extends RealServer {
  static async start(master: RedisServer): Promise<RedisSentinel> {
    const { program, env, version, from } = await obtain("redis");
    const sentinel = new RedisSentinel({
      name: "sentinel",
      about: `${version} from ${from}`,
      listens: "+monitor master main",
      prepare(port, folder) {
        const lines = ["bind 127.0.0.1", `port ${port}`, `dir ${folder}`];
        lines.push(`sentinel monitor main ${master.host} ${master.port} 1`);
        lines.push(`sentinel down-after-milliseconds main ${NEVER_MS}`, `sentinel failover-timeout main ${NEVER_MS}`);
        const path = join(folder, "sentinel.conf");
        writeFileSync(path, `${lines.join("\n")}\n`);
        return { program, args: [path, "--sentinel"], env };
      },
      ready: async (port) =>
        (await answer({ port, ask: "PING\r\n", whole: (bytes) => bytes.length > 4 })).includes("+PONG"),
      readyMsMax: 20_000,
    });
    await sentinel.begin();
    return sentinel;
  }

  /** Kills the master, and settles when the sentinel has made its one replica the master. */
  async failOver(master: RedisServer, replica: RedisServer): Promise<void> {
    await using at = new RedisDriver(`${this.host}:${this.port}`);
    const [soon, usual] = [100, 10_000];
    await at.call("SENTINEL", "DEBUG", "INFO-PERIOD", soon);
    await waitFor(
      async () => JSON.stringify(await at.call("SENTINEL", "REPLICAS", "main")).includes('"master-link-status","ok"'),
      "the sentinel knows the replica",
    );
    // What it knows of the replica is good for three periods.
    await at.call("SENTINEL", "DEBUG", "INFO-PERIOD", usual);
    await master.kill();
    // Refused as long as it has not heard of the replica for a while, on a machine that stood still.
    await untilWorks(() => at.call("SENTINEL", "FAILOVER", "main"));
    await waitFor(
      async () => ((await at.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main")) as string[])[1] === `${replica.port}`,
      () => `the replica is the master: ${this.log}`,
    );
  }
}
