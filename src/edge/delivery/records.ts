/**
 * Takes the ring's records one by one, in order, and hands each to the part it is for.
 *
 * On the path: ring reader -> RECORDS -> hub (publications), joins, moves, repair, control.
 * Invariants: a publication is neither parsed nor awaited, and touches no session; everything about a topic happens in
 * ring order. At the limit: a publication of a topic without sessions here costs one look-up.
 */
import { type Control, type DirectHead, Flag, RecordKind, type TopicInfo } from "../../ring/messages.ts";
import type { RingRecord } from "../../ring/ring.ts";
import type { Counters } from "../counters.ts";
import type { Hub, Topic } from "../hub.ts";
import type { Requests } from "../requests.ts";
import type { Joining } from "../session/joins.ts";
import type { Moves } from "../session/moves.ts";
import type { Controls } from "./control.ts";
import type { Repair } from "./repair.ts";

export interface RecordPorts {
  readonly hub: Hub;
  readonly requests: Requests;
  readonly joining: Joining;
  readonly moves: Moves;
  readonly controls: Controls;
  readonly repair: Repair;
  readonly counters: Counters;
}

export class Records {
  readonly #ports: RecordPorts;

  constructor(ports: RecordPorts) {
    this.#ports = ports;
  }

  take(record: RingRecord): void {
    if (record.kind === RecordKind.CONTROL) {
      this.#ports.controls.take(JSON.parse(record.text) as Control);
      return;
    }
    this.#ports.controls.flush();
    switch (record.kind) {
      case RecordKind.PUBLISH:
        this.#publish(record);
        break;
      case RecordKind.TICK:
        if (!this.#ports.repair.active) this.#ports.moves.tick(record.topic);
        break;
      case RecordKind.DIRECT:
        this.#direct(record);
        break;
      case RecordKind.ANNOUNCE:
        this.#announce(record);
        break;
    }
  }

  /** The batch is over. */
  end(): void {
    this.#ports.controls.flush();
  }

  #publish(record: RingRecord): void {
    const { hub, counters } = this.#ports;
    const topic = hub.byNumber(record.topic);
    // Equal to the floor is what main says outside the chain (stale), after the catch-up.
    if (topic === undefined || topic.sessions === 0 || topic.behind || record.seq < topic.floor) return;
    if (record.seq > (topic.seq ?? -1)) topic.seq = record.seq;
    topic.items += record.request;
    if ((record.flags & Flag.ASIDE) !== 0) topic.later = "ask";
    else if (topic.later !== "ask") remember(topic, record);
    if (record.receivedUs > 0) counters.published(topic.latency, record.receivedUs, topic.sessions);
    if ((record.flags & Flag.MANY) === 0) hub.publish(topic, record.text);
    else for (const payload of record.text.split("\n")) hub.publish(topic, payload);
  }

  /** A topic that is used here has got its number, or has it still. */
  #announce(record: RingRecord): void {
    const topic = this.#ports.hub.find(JSON.parse(record.text) as TopicInfo);
    if (topic !== undefined) this.#ports.hub.bind(topic, record.topic);
  }

  #direct(record: RingRecord): void {
    const { requests, joining, moves, repair } = this.#ports;
    const request = requests.peek(record.request);
    // The answer to a request that was made again meanwhile.
    if (request === undefined) return;
    const { head, frames } = directOf(record.text);
    switch (request.is) {
      case "join":
      case "resync":
        // Nobody joins what is behind; it is asked again when the repair is over.
        if (request.topic.behind) return;
        requests.done(record.request);
        if (request.is === "join") joining.answered(request, record.topic, head, frames);
        else joining.resynced(request.only, head, frames);
        return;
      case "return":
        if (request.stream.topic.behind) return;
        requests.done(record.request);
        request.back.answered(request, head, frames);
        return;
      case "move":
        requests.done(record.request);
        if (head.is === "open") moves.opened(request.move, record.topic);
        else moves.refused(request.move);
        return;
      case "lapped":
        if (head.is === "caughtUp") repair.caughtUp(record.topic, head, frames);
        else if (head.is === "repaired") {
          requests.done(record.request);
          repair.repaired();
        } else repair.lost(record.topic, frames);
    }
  }
}

/** What a later joiner of the topic starts from. */
function remember(topic: Topic, record: RingRecord): void {
  topic.laterSeq = record.seq;
  if (topic.later !== "latest") return;
  topic.laterFrame =
    (record.flags & Flag.MANY) === 0 ? record.text : record.text.slice(record.text.lastIndexOf("\n") + 1);
}

/** First line JSON, then a frame a line. */
function directOf(text: string): { head: DirectHead; frames: readonly string[] } {
  const end = text.indexOf("\n");
  if (end < 0) return { head: JSON.parse(text) as DirectHead, frames: [] };
  return { head: JSON.parse(text.slice(0, end)) as DirectHead, frames: text.slice(end + 1).split("\n") };
}
