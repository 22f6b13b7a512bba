/**
 * What a worker says to main, gathered: everything of one turn of its event loop is one `postMessage`.
 *
 * On the path: requests, hub, counters -> POSTBOX -> postMessage -> supervisor. A message costs both threads about as much
 * as what is in it, and a storm of subscribe frames brings a thousand of them in a turn.
 * Invariants: the order in which things are said is kept; nothing waits for longer than the turn.
 * At the limit: a turn handles at most 1,024 sockets, and a session has at most `joinsInFlightMax` joins under way.
 */
import type { EdgeToMain } from "../ring/messages.ts";

export class Postbox {
  readonly #send: (message: EdgeToMain) => void;
  readonly #afterTurn: (call: () => void) => void;
  #messages: EdgeToMain[] = [];

  constructor(send: (message: EdgeToMain) => void, afterTurn: (call: () => void) => void = setImmediate) {
    this.#send = send;
    this.#afterTurn = afterTurn;
  }

  readonly post = (message: EdgeToMain): void => {
    if (this.#messages.length === 0) this.#afterTurn(() => this.flush());
    this.#messages.push(message);
  };

  /** Also before the worker ends. */
  flush(): void {
    const messages = this.#messages;
    if (messages.length === 0) return;
    this.#messages = [];
    this.#send(messages.length === 1 ? messages[0]! : { is: "batch", messages });
  }
}
