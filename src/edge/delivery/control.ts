/**
 * What main says about the sessions of whole topics: close them, or remember who saw one turn stale.
 *
 * On the path: ring (CONTROL) -> CONTROL -> sessions.
 * Invariants: controls that stand together in the ring are carried out by one pass over the sessions; those who joined
 * while a topic was stale knew it, and are not closed for it.
 */
import type { Control } from "../../ring/messages.ts";
import type { Hub, Topic } from "../hub.ts";
import { close, type Session } from "../session/session.ts";

interface Closing {
  readonly code: number;
  readonly reason: string;
  /** Not these. */
  readonly except: ReadonlySet<Session> | null;
}

export class Controls {
  readonly #hub: Hub;
  readonly #closing = new Map<Topic, Closing>();

  constructor(hub: Hub) {
    this.#hub = hub;
  }

  /** Takes one record in; closes wait for `flush`. */
  take(control: Control): void {
    const topic = this.#hub.byNumber(control.topic);
    if (topic === undefined) return;
    switch (control.do) {
      case "closeTopic":
        this.closeTopic(topic, control.code, control.reason);
        break;
      case "stale":
        // Main repeats it for a worker that was lapped: the others know already.
        topic.staleJoiners ??= new Set();
        break;
      case "fresh":
        topic.staleJoiners = null;
        break;
      case "closeStale":
        // Null: it was fresh when everybody here joined, or this worker began after it turned stale.
        if (topic.staleJoiners === null) break;
        this.#closing.set(topic, { code: control.code, reason: control.reason, except: topic.staleJoiners });
        break;
      case "epoch":
        topic.epoch = control.epoch;
        topic.later = "ask";
        break;
    }
  }

  closeTopic(topic: Topic, code: number, reason: string): void {
    this.#closing.set(topic, { code, reason, except: null });
  }

  /** To be called before anything else happens to a session. */
  flush(): void {
    if (this.#closing.size === 0) return;
    const closing = new Map(this.#closing);
    this.#closing.clear();
    const found: [Session, Closing][] = [];
    for (const session of this.#hub.sessions) {
      for (const { topic } of session.streams) {
        const one = closing.get(topic);
        if (one === undefined || one.except?.has(session)) continue;
        found.push([session, one]);
        break;
      }
    }
    for (const [session, { code, reason }] of found) close(session, code, reason);
  }

  /** After a lap nothing is known about staleness. */
  reset(): void {
    for (const topic of this.#hub.topics()) topic.staleJoiners = null;
  }
}
