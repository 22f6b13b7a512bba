/** A client of the Binance dialect: raw or combined, requests by id, events to whoever listens to their stream. */
import { type Closed, type Frame, FrameSocket } from "./frame-socket.ts";
import { waitFor } from "./wait.ts";

export interface BinanceReply {
  readonly id?: unknown;
  readonly result?: unknown;
  readonly error?: { readonly code: number; readonly msg: string };
}

export class BinanceClient extends FrameSocket {
  /** Combined frames by stream; raw ones under ''. */
  readonly events = new Map<string, Frame[]>();
  readonly texts: string[] = [];
  /** Frames nobody asked for that are no events: errors of requests without an id. */
  readonly others: Frame[] = [];
  readonly #listeners: ((stream: string, event: Frame) => void)[] = [];

  static async connect(url: string): Promise<BinanceClient> {
    const client = new BinanceClient(url);
    await client.opened();
    return client;
  }

  async request(method: string, params?: readonly unknown[]): Promise<BinanceReply> {
    return (await this.ask(params === undefined ? { method } : { method, params })) as BinanceReply;
  }

  onEvent(listener: (stream: string, event: Frame) => void): void {
    this.#listeners.push(listener);
  }

  of(stream: string): readonly Frame[] {
    return this.events.get(stream) ?? [];
  }

  protected isReply(frame: Frame): boolean {
    return "result" in frame || "error" in frame;
  }

  protected push(frame: Frame, text: string): void {
    if ("error" in frame || "result" in frame) {
      this.others.push(frame);
      return;
    }
    const combined = typeof frame.stream === "string" && "data" in frame;
    const stream = combined ? (frame.stream as string) : "";
    const event = combined ? (frame.data as Frame) : frame;
    const list = this.events.get(stream);
    if (list === undefined) this.events.set(stream, [event]);
    else list.push(event);
    this.texts.push(text);
    for (const listener of this.#listeners) listener(stream, event);
  }
}

/**
 * So many requests at once are answered; then as many again and more, until that is too many: a busy machine may take
 * longer than a second for them.
 */
export async function untilTooMany(client: BinanceClient, perSecond: number): Promise<Closed> {
  let sent = 0;
  const ask = async (count: number): Promise<void> => {
    for (let more = 0; more < count; more++) client.send({ method: "LIST_SUBSCRIPTIONS", id: ++sent });
    await waitFor(
      () => client.closed !== null || client.others.length === sent,
      () => `${sent} replies, not ${client.others.length}, or a close`,
    );
  };
  await ask(perSecond);
  if (client.closed !== null) throw new Error(`closed after ${perSecond}: ${JSON.stringify(client.closed)}`);
  for (;;) {
    await ask(perSecond + 1);
    if (client.closed !== null) return client.closed;
  }
}
