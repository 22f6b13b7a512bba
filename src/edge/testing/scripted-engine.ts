/**
 * An engine for the edge's tests: answers the workers through a real ring and publishes what a test tells it to.
 *
 * Every channel is a lossless chain of numbered publications, so a client can tell loss, doubling and disorder. Payloads
 * have the same fields in every form; the edge never reads them.
 */
import { ERRORS } from "../../protocol/codes.ts";
import {
  type Control,
  type DirectHead,
  Flag,
  type Later,
  type MainToEdge,
  RecordKind,
  RUNGS,
  type Rung,
  type TopicInfo,
  type TopicKey,
} from "../../ring/messages.ts";
import { createRing, createRingWriter, type RingReaders, type RingWriter } from "../../ring/mod.ts";
import type { EdgeMessage } from "../supervisor.ts";

export const EPOCH = "e1";

interface Topic {
  readonly number: number;
  readonly key: TopicKey;
  readonly workers: Set<number>;
  /** Seq last written to it. */
  seq: number | null;
}

interface Channel {
  seq: number | null;
  readonly history: string[];
}

export class ScriptedEngine {
  readonly shared: SharedArrayBuffer;
  readonly ring: RingWriter & RingReaders;
  readonly channels = new Map<string, Channel>();
  readonly messages: { worker: number; message: EdgeMessage }[] = [];
  readonly gone: number[] = [];
  /** Given to `rest` requests. */
  rest: (path: string, query: string) => { status: number; body: string } = (path, query) => ({
    status: 200,
    body: JSON.stringify({ path, query }),
  });
  post: (worker: number, message: MainToEdge) => void = () => undefined;
  /** Answers wait in `held` while true. */
  hold = false;
  readonly held: (() => void)[] = [];
  /** After a lap: what a topic gets instead of its exact catch-up. */
  lost = false;
  /** How all channels are said to merge. */
  family: TopicInfo["family"] = "items";
  /** How workers may serve later joiners by themselves. */
  later: Later = "ask";
  /** Appended to every snapshot frame, to make it big. */
  padding = "";
  readonly #topics = new Map<string, Topic>();
  /** Topics to flush together with the rung their sessions are going to. */
  #moves: { readonly from: Topic; readonly rung: Rung }[] = [];
  #next = 1;

  constructor(channels: readonly string[], ringBytes = 4 * 1024 * 1024, workersMax = 4) {
    this.shared = createRing(ringBytes, workersMax);
    this.ring = createRingWriter(this.shared);
    for (const name of channels) this.channels.set(name, { seq: null, history: [] });
  }

  // --- what tests do ------------------------------------------------------------------------------------------------

  /** Publishes the next number on a channel's real-time topics; `frames` copies share one record. */
  publish(name: string, { frames = 1, notify = true, pad = "" } = {}): number {
    const channel = this.channels.get(name)!;
    const prev = channel.seq;
    const seq = (prev ?? 0) + 1;
    channel.seq = seq;
    const payload = `"type":"items","prev":${prev},"seq":${seq},"data":[${seq}${pad}]}`;
    channel.history.push(payload);
    for (const topic of this.#topics.values()) {
      if (topic.key.channel === name && topic.key.rung === 0) this.#publishOn(topic, payload, seq, frames);
    }
    if (notify) this.ring.notify();
    return seq;
  }

  /** Flushes every slower topic in the mask up to its channel's seq, then writes the TICK. */
  tick(mask: number): void {
    const inMask = (rung: Rung) => rung === 0 || (mask & (1 << RUNGS.indexOf(rung))) !== 0;
    const leaving = new Set(this.#moves.filter(({ rung }) => inMask(rung)).map(({ from }) => from));
    this.#moves = this.#moves.filter(({ rung }) => !inMask(rung));
    for (const topic of this.#topics.values()) {
      const { seq } = this.channels.get(topic.key.channel)!;
      if (seq === null || seq === topic.seq || !(inMask(topic.key.rung) || leaving.has(topic))) continue;
      this.#publishOn(topic, `"type":"items","prev":${topic.seq},"seq":${seq},"data":[]}`, seq, 1);
    }
    this.ring.write(RecordKind.TICK, { topic: mask }, "");
    this.ring.notify();
  }

  control(make: (topic: number) => Control, channel: string): void {
    for (const topic of this.#topics.values()) {
      if (topic.key.channel === channel) this.ring.write(RecordKind.CONTROL, {}, JSON.stringify(make(topic.number)));
    }
    this.ring.notify();
  }

  topic(channel: string, rung = 0): number | undefined {
    for (const { key, number } of this.#topics.values()) {
      if (key.channel === channel && key.rung === rung) return number;
    }
    return undefined;
  }

  /** Writes more than the ring holds: laps a reader that is stalled. */
  overrun(name: string): void {
    const start = this.ring.written;
    const pad = `,"${"x".repeat(1000)}"`;
    while (this.ring.written - start < this.ring.capacityBytes * 1.5) this.publish(name, { pad });
  }

  release(): void {
    this.hold = false;
    for (const answer of this.held.splice(0)) answer();
  }

  received(is: EdgeMessage["is"]): EdgeMessage[] {
    return this.messages.filter(({ message }) => message.is === is).map(({ message }) => message);
  }

  // --- the edge's side ----------------------------------------------------------------------------------------------

  workerGone(worker: number): void {
    this.gone.push(worker);
    for (const topic of [...this.#topics.values()]) this.#leave(topic, worker);
  }

  handle(worker: number, message: EdgeMessage): void {
    this.messages.push({ worker, message });
    const answer = () => {
      this.#answer(worker, message);
      this.ring.notify();
    };
    if (this.hold && message.is !== "leave") this.held.push(answer);
    else answer();
  }

  #answer(worker: number, message: EdgeMessage): void {
    switch (message.is) {
      case "join":
        this.#join(worker, message.request, message.key, message.since?.seq ?? null);
        break;
      case "resync": {
        const topic = this.#byNumber(message.topic);
        if (topic) this.#join(worker, message.request, topic.key, null);
        break;
      }
      case "move": {
        const topic = this.#open(worker, message.key);
        const from = this.#byNumber(message.from);
        if (from) this.#moves.push({ from, rung: message.key.rung });
        this.#direct(worker, topic.number, message.request, { is: "open" });
        break;
      }
      case "leave": {
        const topic = this.#byNumber(message.topic);
        if (topic) this.#leave(topic, worker);
        break;
      }
      case "lapped":
        for (const [number, seq] of message.topics) this.#catchUp(worker, message.request, number, seq);
        this.#direct(worker, 0, message.request, { is: "repaired" });
        break;
      case "rest": {
        const answers = message.requests.map(({ request, path, query }) => ({ request, ...this.rest(path, query) }));
        this.post(worker, { is: "rest", answers });
      }
    }
  }

  #join(worker: number, request: number, key: TopicKey, since: number | null): void {
    const channel = this.channels.get(key.channel);
    if (key.channel.startsWith("busy")) {
      const { code, message } = ERRORS.UNAVAILABLE;
      this.#direct(worker, 0, request, { is: "refused", code, message });
    } else if (channel === undefined) this.#direct(worker, 0, request, { is: "unknown" });
    else {
      const topic = this.#open(worker, key);
      const { seq } = topic;
      const { family, later } = this;
      const head: DirectHead = { is: "joined", family, epoch: EPOCH, seq, recovered: since !== null, later };
      const snapshot = `"type":"snapshot","epoch":"${EPOCH}","seq":${seq},"data":["${this.padding}"]}`;
      const whole = seq === null || key.dialect === "binance" ? [] : [snapshot];
      const frames = since === null ? whole : channel.history.slice(since, seq ?? 0);
      this.#direct(worker, topic.number, request, head, frames);
    }
  }

  #catchUp(worker: number, request: number, number: number, seen: number): void {
    const topic = this.#byNumber(number);
    const channel = topic && this.channels.get(topic.key.channel);
    if (topic === undefined || channel === undefined || this.lost) {
      this.#direct(worker, number, request, { is: "lost" });
      return;
    }
    // Small enough for the ring: the padding of an overrun is left out.
    const frames = channel.history.slice(seen, topic.seq ?? 0).map((frame) => frame.replace(/,"x+"/, ""));
    this.#direct(worker, number, request, { is: "caughtUp", seq: topic.seq }, framesOf(topic.key, frames));
  }

  #open(worker: number, key: TopicKey): Topic {
    const id = JSON.stringify([key.channel, key.rung, key.dialect, key.timeUnit]);
    let topic = this.#topics.get(id);
    if (topic === undefined) {
      const { seq } = this.channels.get(key.channel)!;
      topic = { number: this.#next++, key, workers: new Set(), seq };
      this.#topics.set(id, topic);
      const info = { ...key, market: "spot", family: this.family };
      this.ring.write(RecordKind.ANNOUNCE, { topic: topic.number }, JSON.stringify(info));
    }
    topic.workers.add(worker);
    return topic;
  }

  #leave(topic: Topic, worker: number): void {
    topic.workers.delete(worker);
    if (topic.workers.size > 0) return;
    for (const [id, one] of this.#topics) if (one === topic) this.#topics.delete(id);
  }

  #byNumber(number: number): Topic | undefined {
    for (const topic of this.#topics.values()) if (topic.number === number) return topic;
    return undefined;
  }

  #publishOn(topic: Topic, payload: string, seq: number, frames: number): void {
    const items = seq - (topic.seq ?? 0);
    topic.seq = seq;
    const text = framesOf(topic.key, new Array<string>(frames).fill(payload)).join("\n");
    const flags = frames > 1 ? Flag.MANY : 0;
    const fields = { topic: topic.number, request: items, seq, receivedUs: Date.now() * 1000, flags };
    this.ring.write(RecordKind.PUBLISH, fields, text);
  }

  #direct(worker: number, topic: number, request: number, head: DirectHead, frames: readonly string[] = []): void {
    const payload = [JSON.stringify(head), ...frames].join("\n");
    this.ring.write(RecordKind.DIRECT, { worker, topic, request }, payload);
  }
}

/** Native payloads go on after the channel's name, Binance's are whole. */
const framesOf = (key: TopicKey, payloads: readonly string[]): readonly string[] =>
  key.dialect === "native" ? payloads : payloads.map((payload) => `{${payload}`);
