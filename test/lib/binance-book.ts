/**
 * A local order book by the rule that ccxt follows, which is stricter than Binance's own text
 * (reference/protocols.md, section 3): after the snapshot the first event must reach over it, and from then on each event
 * must begin exactly where the one before ended. Anything else is a line in `faults`.
 */
import type { BinanceClient } from "./binance-client.ts";
import { PlainBook } from "./plain-book.ts";

interface DepthEvent {
  readonly U: number;
  readonly u: number;
  readonly b: [string, string][];
  readonly a: [string, string][];
}

export interface DepthBody {
  readonly lastUpdateId: number;
  readonly bids: [string, string][];
  readonly asks: [string, string][];
}

/** The whole book by REST. 503 (stale, or the machine is too busy for its HEADs) is tried again. */
export async function fetchDepth(http: string, symbol: string): Promise<DepthBody> {
  for (;;) {
    const response = await fetch(`${http}/api/v3/depth?symbol=${symbol.toUpperCase()}&limit=5000`);
    if (response.status === 200) return (await response.json()) as DepthBody;
    const text = await response.text();
    if (response.status !== 503) throw new Error(`depth of ${symbol}: ${response.status} ${text}`);
    await Bun.sleep(20);
  }
}

export class BinanceBook {
  readonly book = new PlainBook();
  readonly faults: string[] = [];
  /** Local update id; null before the snapshot. */
  id: number | null = null;
  /** Events applied. */
  applied = 0;
  readonly #cached: DepthEvent[] = [];

  /** Listens to `stream` ('' on a raw connection) from now on. */
  constructor(client: BinanceClient, stream: string) {
    client.onEvent((name, event) => {
      if (name === stream && event.e === "depthUpdate") this.#take(event as unknown as DepthEvent);
    });
  }

  /** Fetches the snapshot; to be called once the stream's SUBSCRIBE is answered. */
  async start(http: string, symbol: string): Promise<void> {
    this.begin(await fetchDepth(http, symbol));
  }

  begin(body: DepthBody): void {
    this.book.clear();
    this.book.apply(body.bids, body.asks);
    this.id = body.lastUpdateId;
    const first = this.#cached[0];
    if (first !== undefined && first.U > body.lastUpdateId + 1)
      this.faults.push(`snapshot ${body.lastUpdateId} is older than the first event ${first.U}`);
    for (const event of this.#cached.splice(0)) this.#apply(event);
  }

  #take(event: DepthEvent): void {
    if (this.id === null) this.#cached.push(event);
    else this.#apply(event);
  }

  #apply({ U, u, b, a }: DepthEvent): void {
    const id = this.id as number;
    if (u <= id) return;
    const fits = this.applied === 0 ? U <= id + 1 : U === id + 1;
    if (!fits) this.faults.push(`event ${U}..${u} after ${id}`);
    this.book.apply(b, a);
    this.id = u;
    this.applied++;
  }
}
