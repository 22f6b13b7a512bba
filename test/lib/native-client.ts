/** A client of the native dialect: commands, and its subscriptions by the name it asked for. */
import { type Frame, FrameSocket } from "./frame-socket.ts";
import { NativeStream, type Push } from "./native-stream.ts";
import { waitFor } from "./wait.ts";

export interface Outcome {
  readonly epoch: string;
  readonly seq: number | null;
  readonly cadence: number;
  readonly recovered: boolean;
}

export interface SubscribeReply {
  readonly ok: boolean;
  readonly channels: Readonly<Record<string, Outcome>>;
  readonly errors?: readonly { readonly channel: string; readonly code: number; readonly message: string }[];
  readonly error?: { readonly code: number; readonly message: string; readonly channel?: string };
}

export type Since = Readonly<Record<string, { readonly epoch: string; readonly seq: number }>>;

export class NativeClient extends FrameSocket {
  readonly streams = new Map<string, NativeStream>();
  /** Frames that are neither a reply somebody waits for nor a push of a channel. */
  readonly others: Frame[] = [];
  /** Of subscriptions that were ended, or never were ours. */
  strays = 0;

  static async connect(url: string): Promise<NativeClient> {
    const client = new NativeClient(url);
    await client.opened();
    return client;
  }

  async subscribe(
    channels: readonly string[],
    options: { readonly cadence?: number; readonly since?: Since } = {},
  ): Promise<SubscribeReply> {
    for (const asked of channels) {
      if (!this.streams.has(asked)) this.streams.set(asked, new NativeStream(asked, options.since?.[asked] ?? null));
    }
    return (await this.ask({ op: "subscribe", channels, ...options })) as unknown as SubscribeReply;
  }

  async unsubscribe(channels: readonly string[]): Promise<Frame> {
    const reply = await this.ask({ op: "unsubscribe", channels });
    for (const asked of channels) this.streams.delete(asked);
    return reply;
  }

  stream(asked: string): NativeStream {
    const stream = this.streams.get(asked);
    if (stream === undefined) throw new Error(`not subscribed: ${asked}`);
    return stream;
  }

  /** Settles when the subscription stands at `seq` or behind it. */
  async reaches(asked: string, seq: number): Promise<void> {
    await waitFor(
      () => (this.stream(asked).have ?? -1) >= seq,
      () => `${asked} reaches ${seq}, it has ${this.stream(asked).have}; closed: ${JSON.stringify(this.closed)}`,
    );
  }

  /** Every fault of every subscription, each with its name. */
  get faults(): string[] {
    return [...this.streams.values()].flatMap(({ asked, faults }) => faults.map((fault) => `${asked}: ${fault}`));
  }

  protected isReply(frame: Frame): boolean {
    return "id" in frame || (!("type" in frame) && ("ok" in frame || "error" in frame));
  }

  protected override replied(reply: Frame): void {
    // The place of each stream must be known before the next frame is looked at.
    if (typeof reply.channels !== "object" || reply.channels === null || Array.isArray(reply.channels)) return;
    for (const [asked, outcome] of Object.entries(reply.channels as Record<string, Partial<Outcome>>)) {
      if (outcome.recovered !== undefined) this.streams.get(asked)?.begin(outcome.epoch ?? "", outcome.seq ?? null);
    }
  }

  protected push(frame: Frame): void {
    const { channel, type } = frame;
    if (typeof channel !== "string" || typeof type !== "string") {
      this.others.push(frame);
      return;
    }
    const stream = this.streams.get(channel);
    if (stream === undefined) this.strays++;
    else stream.take(frame as Push);
  }
}
