/**
 * A TCP proxy that cuts its connections at random times, half of them with a reset, most in the middle of a frame.
 *
 * Invariants: what it hands on is unchanged and in order; the side that reads slowly slows the other down. A connection
 * lives for at least `lifeMsMin`, so that a handshake gets through, and is cut as long as the proxy is not `calm`.
 */
import { connect, createServer, type Server, type Socket } from "node:net";
import { Random } from "../../sim/random.ts";

export interface CuttingOptions {
  /** Where it leads to, on 127.0.0.1. */
  readonly port: number;
  readonly seed: number;
  readonly lifeMsMin: number;
  readonly lifeMsMax: number;
}

/** ms that a cut waits for bytes to cut through; without any the connection just ends. */
const PATIENCE_MS = 300;

export class CuttingProxy implements Disposable {
  /** Connections accepted. */
  connections = 0;
  /** Of these, cut; `torn` of them in the middle of what the server sent. */
  cuts = 0;
  torn = 0;
  readonly #options: CuttingOptions;
  readonly #random: Random;
  readonly #server: Server;
  readonly #ends = new Set<() => void>();
  #calm = false;

  private constructor(options: CuttingOptions) {
    this.#options = options;
    this.#random = new Random(options.seed);
    this.#server = createServer((client) => this.#accept(client));
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

  /** From now on nothing is cut any more. */
  calm(): void {
    this.#calm = true;
  }

  [Symbol.dispose](): void {
    this.#server.close();
    for (const end of this.#ends) end();
  }

  #accept(client: Socket): void {
    this.connections++;
    const server = connect(this.#options.port, "127.0.0.1");
    let timer: Timer | null = null;
    const end = (): void => {
      if (timer !== null) clearTimeout(timer);
      this.#ends.delete(end);
      client.destroy();
      server.destroy();
    };
    this.#ends.add(end);
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      socket.on("close", end);
      // A reset is an end like any other here.
      socket.on("error", end);
    }
    client.pipe(server);
    server.pipe(client);

    const cut = (): void => {
      if (this.#calm) return;
      this.cuts++;
      server.unpipe(client);
      server.once("data", (chunk: Uint8Array) => {
        if (chunk.length > 1) this.torn++;
        const kept = chunk.subarray(0, this.#between(1, Math.max(1, chunk.length - 1)));
        client.write(kept, () => {
          if (this.#random.chance(0.5)) client.resetAndDestroy();
          end();
        });
      });
      server.resume();
      timer = setTimeout(end, PATIENCE_MS);
    };
    const { lifeMsMin, lifeMsMax } = this.#options;
    timer = setTimeout(cut, this.#between(lifeMsMin, lifeMsMax));
  }

  #between(min: number, max: number): number {
    return min + this.#random.below(max - min + 1);
  }
}
