/**
 * Lap repair: what a worker does when the writer has overtaken it and records are lost.
 *
 * On the path: ring reader ("lapped") -> REPAIR -> main -> ring (DIRECT caughtUp | lost, then repaired) -> hub.
 * Invariants: a topic is *behind* from the lap until its catch-up; meanwhile its publications are dropped, nobody joins it
 * and nobody changes rung; after it, the topic goes on exactly where the catch-up ended.
 * At the limit: lapped again before the repair is done: the worker cannot keep up, all its sessions are closed 1001 and it
 * is restarted.
 */
import { CLOSES } from "../../protocol/codes.ts";
import type { DirectHead } from "../../ring/messages.ts";
import type { Counters } from "../counters.ts";
import type { Hub, Topic } from "../hub.ts";
import type { Requests } from "../requests.ts";
import type { Joining } from "../session/joins.ts";
import type { Moves } from "../session/moves.ts";
import type { Controls } from "./control.ts";

export interface RepairPorts {
  readonly hub: Hub;
  readonly requests: Requests;
  readonly joining: Joining;
  readonly moves: Moves;
  readonly controls: Controls;
  readonly counters: Counters;
  /** Close everybody and end this worker. */
  giveUp(): void;
}

export class Repair {
  readonly #ports: RepairPorts;
  #active = false;

  constructor(ports: RepairPorts) {
    this.#ports = ports;
  }

  get active(): boolean {
    return this.#active;
  }

  /** The reader says that records were lost. */
  lapped(): void {
    const { hub, requests, counters, controls } = this.#ports;
    counters.laps++;
    if (this.#active) {
      this.#ports.giveUp();
      return;
    }
    // Which of them are stale is told again by main.
    controls.reset();
    for (const topic of hub.topics()) {
      topic.behind = topic.sessions > 0;
      topic.later = "ask";
    }
    this.#active = [...hub.topics()].some((topic) => topic.behind);
    if (this.#active) requests.ask({ is: "lapped", repair: this });
    requests.askAgain((request) => request.is === "join" || request.is === "resync");
    if (!this.#active) this.#ports.moves.startOver();
  }

  /** What is still behind, and the last seq of it that went out; 0 where there never was one. */
  positions(): [topic: number, seq: number][] {
    const positions: [number, number][] = [];
    for (const topic of this.#ports.hub.topics()) if (topic.behind) positions.push([topic.number, topic.seq ?? 0]);
    return positions;
  }

  caughtUp(number: number, head: DirectHead & { is: "caughtUp" }, frames: readonly string[]): void {
    const topic = this.#ports.hub.byNumber(number);
    if (topic === undefined || !topic.behind) return;
    for (const frame of frames) this.#ports.hub.publish(topic, frame);
    topic.seq = head.seq ?? topic.seq;
    topic.floor = head.seq ?? topic.floor;
    this.#goOn(topic);
  }

  /** Nothing brings the topic up exactly: native clients learn it from the frames, the others by a close. */
  lost(number: number, frames: readonly string[]): void {
    const topic = this.#ports.hub.byNumber(number);
    if (topic === undefined || !topic.behind) return;
    for (const frame of frames) this.#ports.hub.publish(topic, frame);
    if (frames.length === 0 || topic.key.dialect === "binance") this.#closeAll(topic);
    this.#goOn(topic);
  }

  /** Everything that was asked for is answered. */
  repaired(): void {
    const { hub, moves, requests } = this.#ports;
    for (const topic of [...hub.topics()]) {
      if (!topic.behind) continue;
      this.#closeAll(topic);
      this.#goOn(topic);
    }
    this.#active = false;
    moves.startOver();
    requests.askAgain((request) => request.is === "join" || request.is === "resync");
  }

  #goOn(topic: Topic): void {
    topic.behind = false;
    this.#ports.joining.askFor(topic);
  }

  #closeAll(topic: Topic): void {
    const { code, message } = CLOSES.RESTART;
    this.#ports.controls.closeTopic(topic, code, `${topic.key.channel}: ${message}`);
    this.#ports.controls.flush();
  }
}
