/**
 * A TCP proxy in bad weather: it delays, throttles and pauses its connections, and cuts them at random times, half of them
 * with a reset, most in the middle of a frame.
 *
 * Invariants: what it hands on is unchanged and in order; the side that reads slowly slows the other down (lane.ts). A
 * connection's life begins with the server's first bytes, so that a handshake gets through however busy the machine is; it
 * lasts for at least `lifeMsMin`, and is cut as long as the proxy is not `calm`.
 */
import { connect, createServer, type Server, type Socket } from "node:net";
import { Random } from "../../sim/random.ts";
import { CLEAR, Lane, type Weather } from "./lane.ts";

export interface CuttingOptions {
  /** Where it leads to, on 127.0.0.1. */
  readonly port: number;
  readonly seed: number;
  /** How long a connection lives; without these none is cut. */
  readonly lifeMsMin?: number;
  readonly lifeMsMax?: number;
  /** Each connection goes through one of these; without them all is clear. */
  readonly weathers?: readonly Weather[];
}

/** ms that a cut waits for bytes to cut through; without any the connection just ends. */
const PATIENCE_MS = 300;

export class CuttingProxy implements Disposable {
  /** Connections accepted. */
  connections = 0;
  /** Of these, cut; `torn` of them in the middle of what the server sent. */
  cuts = 0;
  torn = 0;
  /** Ended by the server, neither cut nor ended by the client before. */
  ended = 0;
  /** Times that the weather stopped a connection. */
  pauses = 0;
  readonly #options: CuttingOptions;
  readonly #random: Random;
  readonly #server: Server;
  readonly #open = new Set<Passage>();
  #weathers: readonly Weather[];
  #calm = false;
  #paused = false;

  private constructor(options: CuttingOptions) {
    this.#options = options;
    this.#weathers = options.weathers ?? [CLEAR];
    this.#random = new Random(options.seed);
    // An end goes through the weather too: it is passed on by the lane, not answered at once.
    this.#server = createServer({ allowHalfOpen: true }, (client) => this.#accept(client));
  }

  static async start(options: CuttingOptions): Promise<CuttingProxy> {
    const proxy = new CuttingProxy(options);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === "string") throw new Error("the proxy does not listen");
    return address.port;
  }

  /** Bytes that the connections open now have got from the server. */
  get bytesToClients(): number {
    let bytes = 0;
    for (const { toClient } of this.#open) bytes += toClient.bytes;
    return bytes;
  }

  /** From now on nothing is cut, delayed, throttled or stopped by the weather any more. */
  calm(): void {
    this.#calm = true;
    for (const passage of this.#open) passage.calm();
  }

  /** From now on all connections, also those to come, go through this; `CLEAR` ends it. */
  change(weather: Weather): void {
    this.#weathers = [weather];
    for (const passage of this.#open) passage.change(weather);
  }

  /** Every connection there is ends with a reset, at once. */
  reset(): void {
    for (const passage of [...this.#open]) passage.reset();
  }

  /** Of what the server sends next, each connection gets a part; then it ends so, or as chance will. */
  tear(how?: "end" | "reset"): void {
    for (const passage of [...this.#open]) this.#cut(passage, how);
  }

  /** Nothing passes any more, not even an end; connections stay open, new ones are accepted. */
  pause(): void {
    this.#paused = true;
    for (const passage of this.#open) passage.blocked = true;
  }

  /** What was sent during the pause goes on. */
  resume(): void {
    this.#paused = false;
    for (const passage of this.#open) passage.blocked = false;
  }

  [Symbol.dispose](): void {
    this.#server.close();
    for (const passage of this.#open) passage.end();
  }

  #accept(client: Socket): void {
    this.connections++;
    const { port, lifeMsMin, lifeMsMax } = this.#options;
    const weather = this.#calm ? CLEAR : this.#weathers[this.#random.below(this.#weathers.length)]!;
    const passage = new Passage(
      client,
      connect({ port, host: "127.0.0.1", allowHalfOpen: true }),
      weather,
      this.#random,
      {
        stopped: () => this.pauses++,
        ended: () => this.ended++,
        over: () => this.#open.delete(passage),
      },
    );
    this.#open.add(passage);
    passage.blocked = this.#paused;
    if (lifeMsMin === undefined || lifeMsMax === undefined) return;
    const lifeMs = lifeMsMin + this.#random.below(lifeMsMax - lifeMsMin + 1);
    passage.toClient.begun = () => passage.later(lifeMs, () => this.#cut(passage));
  }

  #cut(passage: Passage, how?: "end" | "reset"): void {
    if (this.#calm) return;
    this.cuts++;
    passage.later(PATIENCE_MS, () => passage.end());
    passage.toClient.cut((chunk) => {
      if (chunk.length > 1) this.torn++;
      const kept = chunk.subarray(0, 1 + this.#random.below(Math.max(1, chunk.length - 1)));
      passage.client.write(kept, () => {
        const isReset = how === undefined ? this.#random.chance(0.5) : how === "reset";
        if (isReset) passage.client.resetAndDestroy();
        passage.end();
      });
    });
  }
}

interface PassageHearer {
  /** The weather has stopped it. */
  stopped(): void;
  /** The server has ended it, first of all. */
  ended(): void;
  over(): void;
}

/** One connection and its way to the server. */
class Passage {
  readonly client: Socket;
  readonly toClient: Lane;
  readonly #server: Socket;
  readonly #toServer: Lane;
  readonly #random: Random;
  readonly #hearer: PassageHearer;
  readonly #timers = new Set<Timer>();
  /** By the proxy's user, and by the weather. */
  #blocked = false;
  #stopped = false;

  constructor(client: Socket, server: Socket, weather: Weather, random: Random, hearer: PassageHearer) {
    this.client = client;
    this.#server = server;
    this.#random = random;
    this.#hearer = hearer;
    for (const socket of [client, server]) socket.setNoDelay(true);
    this.toClient = new Lane(server, client, weather, random);
    this.#toServer = new Lane(client, server, weather, random);
    let first = true;
    client.on("end", () => {
      first = false;
    });
    server.on("end", () => {
      if (first) this.#hearer.ended();
    });
    let left = 2;
    for (const socket of [client, server]) {
      socket.on("close", () => {
        left--;
        if (left === 0) this.end();
      });
    }
    if (weather.pause !== undefined) this.#stopLater(weather.pause);
  }

  set blocked(blocked: boolean) {
    this.#blocked = blocked;
    this.#apply();
  }

  calm(): void {
    this.#stopped = false;
    this.change(CLEAR);
  }

  change(weather: Weather): void {
    for (const lane of [this.toClient, this.#toServer]) lane.weather = weather;
    this.#apply();
  }

  reset(): void {
    this.client.resetAndDestroy();
    this.end();
  }

  later(ms: number, what: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      what();
    }, ms);
    this.#timers.add(timer);
  }

  end(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.toClient.stop();
    this.#toServer.stop();
    this.client.destroy();
    this.#server.destroy();
    this.#hearer.over();
  }

  #stopLater(pause: NonNullable<Weather["pause"]>): void {
    this.later(this.#within(pause.everyMs), () => {
      if (this.toClient.weather === CLEAR) return;
      this.#hearer.stopped();
      this.#stopped = true;
      this.#apply();
      this.later(this.#within(pause.ms), () => {
        this.#stopped = false;
        this.#apply();
        this.#stopLater(pause);
      });
    });
  }

  #apply(): void {
    for (const lane of [this.toClient, this.#toServer]) lane.paused = this.#blocked || this.#stopped;
  }

  #within([min, max]: readonly [number, number]): number {
    return min + this.#random.below(max - min + 1);
  }
}
