/**
 * A client that lives once: connects, subscribes to something at random, hears of it, perhaps changes its mind, and leaves
 * in one of the ways clients leave.
 */
import { Client, type Target } from "../../../load/socket/client.ts";
import { textFrame } from "../../../load/socket/frames.ts";
import type { Random } from "../../../sim/random.ts";

const SYMBOLS = ["btcusdt", "ethusdt", "solusdt", "bnbusdt"];
const STREAMS = ["depth", "trade", "bookTicker", "depth20", "miniTicker", "kline_1m", "aggTrade"];
const CADENCES = [0, 100, 250, 1000];
/** How long it waits for an answer before it says it was not served. */
const patienceMs = 20_000;

export class ChurnClient {
  readonly #random: Random;
  readonly #client: Client;
  readonly #native: boolean;
  readonly #over = Promise.withResolvers<string | null>();
  #isLeaving = false;
  /** What it does, for the complaint. */
  #story = "";

  constructor(ws: string, random: Random) {
    this.#random = random;
    this.#native = random.chance(0.6);
    const { hostname, port, host } = new URL(ws);
    const path = this.#native ? "/ws/quote/v1" : this.#pick(["/ws", "/stream", "/public/stream"]);
    this.#story = path;
    const target: Target = { hostname, port: Number(port), host, path, tls: null };
    this.#client = new Client(target, {
      received: () => undefined,
      opened: () => this.#opened(),
      text: (bytes, from, to) => this.#text(bytes.toString("utf8", from, Math.min(to, from + 200))),
      ping: () => undefined,
      closed: (code, reason) => this.#over.resolve(this.#isLeaving ? null : `closed ${code} ${reason}`),
      fault: (sentence) => this.#over.resolve(sentence),
    });
  }

  /** Resolves when it has left: with null, or with why it was not served. */
  async live(): Promise<string | null> {
    const timer = setTimeout(() => {
      this.#over.resolve(`no answer in ${patienceMs / 1000} s: ${this.#story}`);
      this.#leave();
    }, patienceMs);
    this.#client.connect(null);
    const fault = await this.#over.promise;
    clearTimeout(timer);
    return fault;
  }

  #opened(): void {
    // Some are gone before anything was said, some right after they asked.
    if (this.#random.chance(0.05)) {
      this.#leave();
      return;
    }
    const names = Array.from(
      { length: 1 + this.#random.below(3) },
      () => `${this.#pick(SYMBOLS)}@${this.#pick(STREAMS)}`,
    );
    const cadence = this.#pick(CADENCES);
    this.#say(
      this.#native
        ? { id: 1, op: "subscribe", channels: names, cadence }
        : { method: "SUBSCRIBE", params: names, id: 1 },
    );
    if (this.#random.chance(0.1)) this.#leave();
  }

  #text(text: string): void {
    if (!text.startsWith('{"id":1') && !text.startsWith('{"result"')) return;
    if (this.#native && !text.startsWith('{"id":1,"ok":true')) {
      this.#over.resolve(`refused: ${text}`);
      return;
    }
    if (this.#native && this.#random.chance(0.3)) this.#say({ op: "resync", channel: "btcusdt@depth" });
    this.#leave();
  }

  #say(command: object): void {
    this.#story += ` ${JSON.stringify(command)}`;
    this.#client.send(textFrame(JSON.stringify(command)));
  }

  #leave(): void {
    this.#isLeaving = true;
    if (this.#random.chance(0.5)) this.#client.close();
    else this.#client.drop();
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#random.below(list.length)]!;
  }
}
