/**
 * A native client whose connection is lost again and again: it comes back with `since` on everything, and keeps its state.
 *
 * Invariants: its streams outlive its connections once they have a position, so each of their faults is one of its whole
 * life; a connection ends by the network, by the node, without a word after `lifeMs`, or by `stop`.
 */
import { NativeClient, type Since } from "./native-client.ts";
import { NativeStream } from "./native-stream.ts";

export interface JitterOptions {
  readonly url: string;
  readonly channels: readonly string[];
  readonly cadence?: number;
  /** ms from the reply until it drops its connection; without it only others do. */
  readonly lifeMs?: () => number;
  /** ms between a loss and the next attempt. */
  readonly awayMs: () => number;
}

export class JitteryClient {
  readonly streams: Map<string, NativeStream>;
  /** Subscribes that went through, those of them that had positions, and replies that did not bring all. */
  connects = 0;
  resumes = 0;
  notRecovered = 0;
  /** From its next connection on it drops none any more. */
  stays = false;
  /** Codes of closes, by how often. */
  readonly closes = new Map<number, number>();
  readonly #options: JitterOptions;
  #client: NativeClient | null = null;
  #stopped = false;
  readonly #done: Promise<void>;

  constructor(options: JitterOptions) {
    this.#options = options;
    this.streams = new Map(options.channels.map((asked) => [asked, new NativeStream(asked, null)]));
    this.#done = this.#run();
  }

  stream(asked: string): NativeStream {
    const stream = this.streams.get(asked);
    if (stream === undefined) throw new Error(`not subscribed: ${asked}`);
    return stream;
  }

  get faults(): string[] {
    return [...this.streams.values()].flatMap(({ asked, faults, pushes }) => {
      const came = pushes.slice(-10).map(({ type, prev, seq, to }) => `${type} ${prev}>${seq ?? to}`);
      return faults.map(
        (fault) => `${asked} at ${this.#options.cadence ?? 0} ms: ${fault}; last came ${came.join(", ")}`,
      );
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#client?.socket.close();
    await this.#done;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      await this.#live();
      if (!this.#stopped) await Bun.sleep(this.#options.awayMs());
    }
  }

  /** One connection. */
  async #live(): Promise<void> {
    try {
      this.#client = await NativeClient.connect(this.#options.url);
      // Stopped while it was connecting.
      if (this.#stopped) return;
      await this.#subscribe(this.#client);
      const { lifeMs } = this.#options;
      if (lifeMs !== undefined && !this.stays) {
        await Bun.sleep(lifeMs());
        // What has come by now counts, what is under way does not.
        this.#client.socket.terminate();
        return;
      }
      const { code } = await this.#client.untilClosed(LIFE_MS_MAX);
      this.closes.set(code, (this.closes.get(code) ?? 0) + 1);
    } catch (error) {
      // Refused, or lost before the reply: tried again.
      if (!(error instanceof Error)) throw error;
    } finally {
      // What still comes of a lost connection is not its own any more.
      this.#client?.streams.clear();
      this.#client?.socket.close();
      this.#client = null;
    }
  }

  async #subscribe(client: NativeClient): Promise<void> {
    const since: Record<string, Since[string]> = {};
    for (const [asked, stream] of this.streams) {
      const position = positionOf(stream);
      if (position !== null) since[asked] = position;
      // What came before a first reply has no position to go on from: it starts over.
      else this.streams.set(asked, new NativeStream(asked, null));
      client.streams.set(asked, this.stream(asked));
    }
    const { channels, cadence } = this.#options;
    const reply = await client.subscribe(channels, { since, ...(cadence === undefined ? {} : { cadence }) });
    if (!reply.ok) throw new Error(`refused: ${JSON.stringify(reply)}`);
    this.connects++;
    if (Object.keys(since).length > 0) this.resumes++;
    for (const [asked, { recovered }] of Object.entries(reply.channels))
      if (since[asked] !== undefined && !recovered) this.notRecovered++;
  }
}

const LIFE_MS_MAX = 3_600_000;

/** Null as long as the epoch is not known, or, of a state, nothing of it has come: a reply's seq lies behind that. */
function positionOf({ epoch, have, isItems, pushes }: NativeStream): Since[string] | null {
  return epoch !== null && have !== null && (isItems || pushes.length > 0) ? { epoch, seq: have } : null;
}
