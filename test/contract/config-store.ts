/** The contract of a configuration store: what every implementation does with documents that come, change and are wrong. */
import { afterEach, expect, test } from "bun:test";
import type { ConfigChange } from "../../src/config/dynamic/diff.ts";
import type { ConfigStore } from "../../src/config/store/store.ts";
import { GatewayError } from "../../src/lib/errors.ts";
import { type Log, silentLog } from "../../src/lib/log.ts";
import { waitFor } from "../lib/wait.ts";

export interface StoreUnderTest {
  readonly store: ConfigStore;
  /** Writes another document. */
  put(text: string): void;
  close(): void;
}

/** `open`: a store that holds the text. */
export function configStoreContract(name: string, open: (text: string, log: Log) => StoreUnderTest): void {
  let opened: StoreUnderTest | null = null;
  afterEach(() => {
    opened?.store.stop();
    opened?.close();
    opened = null;
  });

  const topics = (rate: number) => ({ topics: [{ topic: "a@trade", rate }] });

  async function followed(document: unknown) {
    const told: string[] = [];
    const tell = (message: string, fields = {}) => void told.push(`${message} ${JSON.stringify(fields)}`);
    opened = open(JSON.stringify(document), { ...silentLog, info: tell, warn: tell, error: tell });
    const { store, put } = opened;
    const first = await store.load();
    const changes: ConfigChange[] = [];
    store.watch((change) => changes.push(change));
    return { store, first, told, changes, put: (next: unknown) => put(JSON.stringify(next)) };
  }

  const until = (condition: () => boolean): Promise<void> => waitFor(condition, "the change is told");

  test(`config store ${name} - a change of what is live is handed on, with what it is`, async () => {
    const { store, put, changes, first, told } = await followed(topics(5));
    expect(first.topics).toEqual(topics(5).topics);
    put({ ...topics(10), limits: { subscriptionsMax: 3 } });
    await until(() => changes.length === 1);
    expect(changes[0]).toMatchObject({
      running: { ...topics(10), limits: { subscriptionsMax: 3 } },
      live: [
        { part: "topics", names: ["a@trade"] },
        { part: "limits", names: ["subscriptionsMax"] },
      ],
      restart: [],
    });
    await until(() => store.status().taken === 2);
    expect(store.status()).toEqual({ taken: 2, refused: 0, error: null, waiting: [] });
    expect(told.at(-1)).toContain('"changed":["topics: a@trade","limits: subscriptionsMax"]');
  });

  test(`config store ${name} - what needs a restart is named, stays as it runs, and is forgotten when it is taken back`, async () => {
    const source = { datasource: [{ type: "nats", name: "n" }] };
    const { put, changes, store } = await followed({ ...source, ...topics(5) });
    put({ datasource: [{ type: "nats", name: "m" }], ...topics(5), limits: { frameBytesMax: 128 } });
    await until(() => store.status().taken === 2);
    expect(store.status().waiting).toEqual(["datasource: m, n", "limits: frameBytesMax"]);
    expect(changes).toEqual([]);
    put({ datasource: [{ type: "nats", name: "m" }], ...topics(9) });
    await until(() => changes.length === 1);
    expect(changes[0]?.running).toMatchObject({ ...source, ...topics(9) });
    put({ ...source, ...topics(9) });
    await until(() => store.status().taken === 4);
    expect(store.status().waiting).toEqual([]);
    expect(changes).toHaveLength(1);
  });

  test(`config store ${name} - a mistake refuses the document whole, once, and the old one stays`, async () => {
    const { put, changes, told, store } = await followed(topics(5));
    const wrong = { ...topics(10), routes: [{ id: "r", data_source: "x", mappings: [] }] };
    put(wrong);
    await until(() => store.status().refused === 1);
    put(wrong);
    await store.reload();
    expect(changes).toEqual([]);
    expect(store.status()).toMatchObject({
      taken: 1,
      refused: 1,
      error: expect.stringContaining("routes[0].data_source"),
    });
    expect(told.filter((text) => text.includes("is refused, the old one stays"))).toHaveLength(1);
    put(topics(5));
    await until(() => store.status().error === null);
    expect(changes).toEqual([]);
    put(topics(6));
    await until(() => changes.length === 1);
  });

  test(`config store ${name} - a change that its taker refuses is told, and the next one is offered whole`, async () => {
    const { store, put } = await followed(topics(5));
    const offered: ConfigChange[] = [];
    store.watch((change) => {
      if (change.running.topics[0]?.rate === 6) throw new GatewayError("SYMBOL_CLASH", "two spellings of one symbol");
      offered.push(change);
    });
    put(topics(6));
    await until(() => store.status().error === "two spellings of one symbol");
    put({ ...topics(7), instruments: [{ symbol: "BTC/USD" }] });
    await until(() => offered.length === 1);
    expect(offered[0]).toMatchObject({ live: [{ part: "topics" }, { part: "instruments" }] });
  });

  test(`config store ${name} - the first document must be sound, and its mistakes are named`, async () => {
    opened = open('{"topics":[{"topic":"A@"}]}', silentLog);
    const error: unknown = await opened.store.load().then(
      () => null,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(GatewayError);
    expect((error as GatewayError).code).toBe("CONFIG");
    expect((error as GatewayError).message).toContain('topics[0].topic (line 1): "A@" is wrong, want a channel name');
  });

  test(`config store ${name} - who asks for a reload is told in any case`, async () => {
    const { store, told, put, changes } = await followed(topics(5));
    await store.reload();
    expect(told.at(-1)).toStartWith("the configuration has not changed");
    put(topics(6));
    await store.reload();
    await until(() => changes.length === 1);
  });

  test(`config store ${name} - after its end nothing is handed on`, async () => {
    const { store, put, changes } = await followed(topics(5));
    store.stop();
    put(topics(6));
    await Bun.sleep(30);
    expect(changes).toEqual([]);
  });
}
