/**
 * What every client of a resume storm must end with: a native session that stays, and remembers all of it. On real time it
 * is the truth; on the clients' cadence it says where they stood.
 *
 * Invariant: its own chain is whole (prev == have), or `faults` says where it was not.
 */

export interface Level {
  readonly side: "b" | "a";
  readonly price: string;
  readonly quantity: string;
}

interface DepthData {
  readonly bids: readonly (readonly [string, string])[];
  readonly asks: readonly (readonly [string, string])[];
}

export interface Push {
  readonly channel: string;
  readonly type: string;
  readonly epoch?: string;
  readonly prev?: number | null;
  readonly seq?: number;
  readonly to?: number;
  readonly data?: unknown;
}

/** One publication as it came. */
export interface Step {
  readonly seq: number;
  readonly atMs: number;
  readonly push: Push;
}

/** A book as a client keeps it. */
export class FlatBook {
  readonly #levels: Map<string, string>;

  constructor(from?: FlatBook) {
    this.#levels = new Map(from === undefined ? [] : from.#levels);
  }

  take(push: Push): void {
    if (push.type === "snapshot") this.#levels.clear();
    const { bids, asks } = push.data as DepthData;
    for (const [price, quantity] of bids) this.#set(`b${price}`, quantity);
    for (const [price, quantity] of asks) this.#set(`a${price}`, quantity);
  }

  /** Empty if they are equal, else the first difference. */
  difference(other: FlatBook): string {
    for (const [level, quantity] of this.#levels)
      if (other.#levels.get(level) !== quantity) return `${level}: ${quantity}, not ${other.#levels.get(level)}`;
    return this.#levels.size === other.#levels.size
      ? ""
      : `${other.#levels.size - this.#levels.size} levels are missing`;
  }

  #set(level: string, quantity: string): void {
    if (Number(quantity) === 0) this.#levels.delete(level);
    else this.#levels.set(level, quantity);
  }
}

/** All that one channel said. */
export class ChannelTruth {
  epoch = "";
  readonly steps: Step[] = [];

  /** Index of the last step at or before `seq`, -1 if there is none. */
  indexOf(seq: number): number {
    return this.#last((step) => step.seq <= seq);
  }

  /** Where a client stood that has been away since `atMs`; null if nothing had come by then. */
  positionAt(atMs: number): { epoch: string; seq: number } | null {
    const step = this.steps[this.#last((one) => one.atMs <= atMs)];
    return step === undefined ? null : { epoch: this.epoch, seq: step.seq };
  }

  #last(holds: (step: Step) => boolean): number {
    let low = 0;
    let high = this.steps.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (holds(this.steps[middle]!)) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}

export class Truth {
  readonly channels = new Map<string, ChannelTruth>();
  readonly faults: string[] = [];
  readonly #socket: WebSocket;

  private constructor(url: string, names: readonly string[], cadence: number) {
    for (const name of names) this.channels.set(name, new ChannelTruth());
    this.#socket = new WebSocket(url);
    this.#socket.onopen = () => this.#socket.send(JSON.stringify({ op: "subscribe", channels: names, cadence }));
    this.#socket.onmessage = ({ data }) => this.#take(JSON.parse(data as string));
    this.#socket.onclose = ({ code }) => this.faults.push(`the session that stays was closed with ${code}`);
  }

  static async follow(url: string, names: readonly string[], cadence: number): Promise<Truth> {
    const truth = new Truth(url, names, cadence);
    while ([...truth.channels.values()].some(({ steps }) => steps.length === 0)) {
      if (truth.faults.length > 0) throw new Error(truth.faults[0]);
      await Bun.sleep(20);
    }
    return truth;
  }

  of(name: string): ChannelTruth {
    return this.channels.get(name)!;
  }

  close(): void {
    this.#socket.onclose = null;
    this.#socket.close();
  }

  #take(frame: Push & { readonly channels?: Readonly<Record<string, { epoch: string; seq: number | null }>> }): void {
    if (frame.channels !== undefined) {
      for (const [name, { epoch }] of Object.entries(frame.channels)) this.of(name).epoch = epoch;
      return;
    }
    const channel = this.of(frame.channel);
    const last = channel.steps.at(-1);
    if (frame.seq === undefined) this.faults.push(`${frame.channel}: ${frame.type} on the session that stays`);
    else if (last !== undefined && frame.prev !== last.seq)
      this.faults.push(`${frame.channel}: ${frame.prev} after ${last.seq} on the session that stays`);
    if (frame.epoch !== undefined) channel.epoch = frame.epoch;
    channel.steps.push({ seq: frame.seq ?? 0, atMs: performance.now(), push: frame });
  }
}
