/**
 * Lossless streams that go on without a slow session, where the topic says `onSlow: "gap"`, and its way back.
 *
 * On the path: slow policy -> LEFT OUT -> main (a join with `since`) -> ring (DIRECT) -> LEFT OUT -> socket.
 * Invariants: the session stays subscribed and its topic stays open, so its positions and items are still seen here; it
 * comes back between two records of the ring, after a gap notice that ends where the next frame begins: `missed` items
 * are lost, those that history still had follow the notice. At the limit: who is slow again soon gets only the notice,
 * and so does everybody for whom the items are more than half of `outboxBytesHigh`.
 */
import { CLOSES } from "../../protocol/codes.ts";
import type { DirectHead } from "../../ring/messages.ts";
import type { EdgeLimits } from "../config.ts";
import type { Counters } from "../counters.ts";
import type { Hub, Stream } from "../hub.ts";
import type { Requests } from "../requests.ts";
import { close, type Session, send } from "../session/session.ts";
import type { Watch } from "./watch.ts";

/** Where one stream went on without its session. */
export interface LeftOut {
  readonly epoch: string;
  /** The last seq the session got. */
  readonly seq: number;
  /** Items that the topic had carried by then, and laps that the worker had had: after one they are not all counted. */
  readonly items: number;
  readonly laps: number;
  /** It is on its way back. */
  asked: boolean;
}

/** Main is asked what the session has missed. */
export interface ReturnRequest {
  readonly is: "return";
  readonly watch: Watch;
  readonly stream: Stream;
  readonly leftOut: LeftOut;
  readonly back: LeavingOut;
}

/** The parts of a gap or items frame that count. */
interface Part {
  readonly type: string;
  readonly to?: number;
  readonly data?: readonly unknown[];
}

export class LeavingOut {
  readonly #hub: Hub;
  readonly #requests: Requests;
  readonly #counters: Counters;
  readonly #limits: Pick<EdgeLimits, "outboxBytesHigh">;

  constructor(hub: Hub, requests: Requests, counters: Counters, limits: Pick<EdgeLimits, "outboxBytesHigh">) {
    this.#hub = hub;
    this.#requests = requests;
    this.#counters = counters;
    this.#limits = limits;
  }

  /** The stream goes on without the session. False: it has carried nothing yet, or is under repair. */
  leave(watch: Watch, stream: Stream): boolean {
    const { epoch, seq, items, behind } = stream.topic;
    if (seq === null || behind || watch.leftOut.has(stream)) return false;
    this.#hub.mute(watch.session, stream);
    watch.leftOut.set(stream, { epoch, seq, items, laps: this.#counters.laps, asked: false });
    this.#counters.slowed("leftOut");
    return true;
  }

  /** Brings the session back to all of them. */
  comeBack(watch: Watch): void {
    for (const [stream, leftOut] of watch.leftOut) {
      const { topic } = stream;
      if (leftOut.asked || topic.behind) continue;
      if (watch.relapsed && topic.epoch === leftOut.epoch && topic.seq !== null) {
        this.#return(watch, stream, leftOut, topic.seq, []);
        continue;
      }
      leftOut.asked = true;
      topic.uses++;
      this.#requests.ask({ is: "return", watch, stream, leftOut, back: this });
    }
  }

  /** Main's answer, between two records of the stream. */
  answered({ watch, stream, leftOut }: ReturnRequest, head: DirectHead, frames: readonly string[]): void {
    const { topic } = stream;
    leftOut.asked = false;
    // It may have unsubscribed, moved to another rung, or closed meanwhile.
    const isHere = watch.session.open && watch.leftOut.get(stream) === leftOut;
    if (isHere) this.#comeBackWith(watch, stream, leftOut, head, frames);
    topic.uses--;
    this.#hub.release(topic);
  }

  #comeBackWith(watch: Watch, stream: Stream, leftOut: LeftOut, head: DirectHead, frames: readonly string[]): void {
    const { epoch, seq, key } = stream.topic;
    if (head.is === "joined") {
      if (head.epoch !== leftOut.epoch) this.#inNewEpoch(watch, stream, frames);
      else if (head.seq !== null) this.#return(watch, stream, leftOut, head.seq, frames);
    } else if (epoch === leftOut.epoch && seq !== null) {
      // Too much for one answer: it is lost, and counted.
      this.#return(watch, stream, leftOut, seq, []);
    } else {
      const { code, message } = CLOSES.RESTART;
      close(watch.session, code, `${key.channel}: ${message}`);
    }
  }

  /** Main has said itself what is missing: a gap of unknown size, then what there is. */
  #inNewEpoch(watch: Watch, stream: Stream, frames: readonly string[]): void {
    this.#rejoin(watch, stream);
    for (const frame of frames) this.#send(watch.session, stream, frame);
    this.#counters.slowed("gap");
  }

  #return(watch: Watch, stream: Stream, leftOut: LeftOut, seq: number, frames: readonly string[]): void {
    const { session } = watch;
    const parts = frames.map((frame) => JSON.parse(`{${frame}`) as Part);
    const fits = frames.reduce((sum, { length }) => sum + length, 0) <= this.#limits.outboxBytesHigh / 2;
    const firstItems = fits ? parts.findIndex(({ type }) => type === "items") : -1;
    // In front of the items stands at most one gap: what history has no more.
    const to = firstItems < 0 ? seq : (parts[firstItems - 1]?.to ?? leftOut.seq);
    const kept = firstItems < 0 ? [] : parts.slice(firstItems);
    const keptItems = kept.reduce((sum, { data }) => sum + (data?.length ?? 0), 0);
    const isCounted = leftOut.laps === this.#counters.laps;
    const missed = to === leftOut.seq ? 0 : isCounted ? stream.topic.items - leftOut.items - keptItems : null;
    this.#rejoin(watch, stream);
    const { asked } = stream;
    const notice = session.wire.dialect.gap(asked, missed, leftOut.seq + 1, to);
    if (notice !== null) send(session, notice, this.#counters);
    if (firstItems >= 0) for (const frame of frames.slice(firstItems)) this.#send(session, stream, frame);
    this.#counters.slowed("gap");
    if (missed !== null) this.#counters.slowed("missedItems", missed);
  }

  #rejoin(watch: Watch, stream: Stream): void {
    watch.leftOut.delete(stream);
    this.#hub.unmute(watch.session, stream);
  }

  #send(session: Session, stream: Stream, frame: string): void {
    send(session, stream.before + frame + stream.after, this.#counters);
  }
}
