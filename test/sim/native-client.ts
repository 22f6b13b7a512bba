/**
 * A native client: one session at a time, several subscriptions, and what it remembers of them when the session ends.
 *
 * Invariants it holds the node to: every command gets exactly one reply; a push names a running subscription; nothing
 * comes for a name after its unsubscribe was answered.
 */
import type { Position } from "../../src/channel/types.ts";
import type { Clock } from "../../src/lib/clock.ts";
import type { ServingNode } from "./crowd.ts";
import type { Peer } from "./fake-server.ts";
import { type Following, type FollowingPorts, followingOf, type Outcome, type Push } from "./following.ts";
import type { Connection } from "./test-worker.ts";
import { shortened, type Trace } from "./trace.ts";

interface Reply {
  readonly id: number;
  readonly ok?: boolean;
  readonly channels?: Readonly<Record<string, Outcome>>;
  readonly errors?: readonly { readonly channel: string; readonly code: number }[];
  readonly error?: { readonly code: number; readonly message: string };
}

interface Subscription {
  readonly following: Following;
  readonly since: Position | null;
  /** The command that made it: only its reply says where it begins. */
  readonly command: number;
  phase: "asked" | "running" | "leaving";
  /** Since when it runs. */
  runsMs: number;
  /** Pushes that came before the reply. */
  early: Push[];
  /** What the reply to a later command for it said. */
  later: Outcome | null;
}

interface Command {
  readonly op: string;
  readonly names: readonly string[];
}

export interface NativePorts {
  readonly clock: Clock;
  readonly violation: (text: string) => void;
  readonly onClose: (code: number) => void;
  readonly fell: FollowingPorts["fell"];
  readonly bookAt: FollowingPorts["bookAt"];
  readonly trace: Trace;
}

export class NativeClient implements Peer {
  readonly label: string;
  readonly subscriptions = new Map<string, Subscription>();
  /** What ended, to come back to. */
  readonly past = new Map<string, Following>();
  /** Names to subscribe to again after a reconnect. */
  wanted: readonly string[] = [];
  closedWith: number | null = null;
  moves = 0;
  connection: Connection | null = null;
  /** Where it is, or was last. */
  node: ServingNode | null = null;
  /** When it last connected, or stopped reading too slowly. */
  disturbedMs = 0;
  readonly #violation: (text: string) => void;
  readonly #ports: NativePorts;
  readonly #commands = new Map<number, Command>();
  readonly #wantedAgain = new Set<string>();
  #ids = 0;

  constructor(label: string, ports: NativePorts) {
    this.label = label;
    this.#violation = (text) => ports.violation(`${label}: ${text}`);
    this.#ports = ports;
  }

  get open(): boolean {
    return this.connection !== null && this.closedWith === null;
  }

  connect(make: (peer: Peer) => Connection, node: ServingNode): void {
    this.closedWith = null;
    this.node = node;
    this.disturbedMs = this.#ports.clock.monotonicMs();
    this.#ports.trace.say(() => `${this.label} connects to ${node.name}`);
    this.#commands.clear();
    this.connection = make(this);
  }

  // --- commands ---------------------------------------------------------------------------------------------------

  subscribe(names: readonly string[], cadence: number, resume: boolean): void {
    const since: Record<string, Position> = {};
    const asked: string[] = [];
    for (const name of names) {
      const known = this.subscriptions.get(name);
      if (known?.phase === "leaving") continue;
      asked.push(name);
      if (known !== undefined) continue;
      const before = resume ? this.past.get(name) : undefined;
      const position = before?.position ?? null;
      if (position !== null) since[name] = position;
      const following = position !== null && before ? before : this.#followingOf(name);
      this.past.delete(name);
      this.subscriptions.set(name, {
        following,
        since: position,
        command: this.#ids + 1,
        phase: "asked",
        runsMs: 0,
        early: [],
        later: null,
      });
    }
    if (asked.length > 0) this.#send("subscribe", asked, { channels: asked, cadence, since });
  }

  unsubscribe(name: string): void {
    const known = this.subscriptions.get(name);
    if (known === undefined || known.phase === "leaving") return;
    // What it has asked for it waits for.
    for (const { op, names } of this.#commands.values()) if (op === "resync" && names.includes(name)) return;
    known.phase = "leaving";
    this.#send("unsubscribe", [name], { channels: [name] });
  }

  cadence(name: string, ms: number): void {
    if (this.subscriptions.get(name)?.phase === "running") this.#send("cadence", [name], { channel: name, ms });
  }

  resync(name: string): void {
    if (this.subscriptions.get(name)?.phase === "running") this.#send("resync", [name], { channel: name });
  }

  list(): void {
    this.#send("subscriptions", [], {});
  }

  leave(): void {
    this.connection?.socket.abort();
  }

  /** Replies that never came. */
  unanswered(): string[] {
    return [...this.#commands].map(([id, { op, names }]) => `${op} ${id} of ${names} was never answered`);
  }

  // --- the wire ---------------------------------------------------------------------------------------------------

  receive(frame: string): void {
    this.#ports.trace.say(() => `${this.label} < ${shortened(frame)}`);
    const message = JSON.parse(frame) as Reply | Push;
    if ("id" in message) this.#replied(message);
    else this.#pushed(message as Push);
  }

  closed(code: number): void {
    this.closedWith = code;
    this.connection = null;
    this.wanted = [...this.subscriptions].filter(([, one]) => one.phase !== "leaving").map(([name]) => name);
    for (const [name, { following, phase, since }] of this.subscriptions) {
      if (phase === "running" || since !== null) this.past.set(name, following);
    }
    this.subscriptions.clear();
    this.#commands.clear();
    this.#ports.onClose(code);
  }

  #followingOf(name: string): Following {
    return followingOf(name, {
      violation: (text) => this.#violation(text),
      again: () => this.#again(name),
      fell: this.#ports.fell,
      bookAt: this.#ports.bookAt,
    });
  }

  /** Subscribes anew, from where it is; what comes before that was answered is left out. */
  #again(name: string): void {
    this.unsubscribe(name);
    this.#wantedAgain.add(name);
  }

  #send(op: string, names: readonly string[], fields: Readonly<Record<string, unknown>>): void {
    const id = ++this.#ids;
    this.#commands.set(id, { op, names });
    const frame = JSON.stringify({ id, op, ...fields });
    this.#ports.trace.say(() => `${this.label} > ${frame}`);
    this.connection?.send(frame);
  }

  #replied(reply: Reply): void {
    const command = this.#commands.get(reply.id);
    if (command === undefined) {
      this.#violation(`reply to nothing: ${JSON.stringify(reply)}`);
      return;
    }
    this.#commands.delete(reply.id);
    if (command.op === "subscribe") this.#subscribed(command.names, reply);
    else if (command.op === "unsubscribe") {
      for (const name of command.names) {
        const known = this.subscriptions.get(name);
        if (known?.phase !== "leaving") continue;
        this.subscriptions.delete(name);
        this.past.set(name, known.following);
        if (this.#wantedAgain.delete(name)) this.subscribe([name], 0, true);
      }
    } else if (reply.error !== undefined && reply.error.code !== 1202) {
      // 1202: the subscription ended while the command was on its way.
      this.#violation(`${command.op} refused: ${JSON.stringify(reply.error)}`);
    }
  }

  #subscribed(names: readonly string[], reply: Reply): void {
    for (const name of names) {
      const known = this.subscriptions.get(name);
      if (known?.phase !== "asked") continue;
      const outcome = reply.channels?.[name];
      if (known.command !== reply.id) known.later = outcome ?? known.later;
      else if (outcome !== undefined) this.#runs(known, outcome);
      else if (reply.errors?.some((error) => error.channel === name)) this.#refused(name, known);
      else this.#violation(`${name} is in no part of the reply ${JSON.stringify(reply)}`);
    }
  }

  #runs(subscription: Subscription, outcome: Outcome): void {
    const { following, since, early } = subscription;
    subscription.phase = "running";
    subscription.runsMs = this.#ports.clock.monotonicMs();
    subscription.early = [];
    following.begin(outcome, since);
    for (const push of early) following.take(push);
  }

  /** Unless a later command asked for it again: then that one's reply counts, which may have come already. */
  #refused(name: string, refused: Subscription): void {
    this.subscriptions.delete(name);
    if (refused.since !== null) this.past.set(name, refused.following);
    const next = [...this.#commands].find(([, { op, names }]) => op === "subscribe" && names.includes(name));
    if (next === undefined && refused.later === null) return;
    const following = this.#followingOf(name);
    const { early, later } = refused;
    const command = next?.[0] ?? 0;
    const again: Subscription = { following, since: null, command, phase: "asked", runsMs: 0, early, later: null };
    this.subscriptions.set(name, again);
    if (later !== null) this.#runs(again, later);
  }

  #pushed(push: Push): void {
    const known = this.subscriptions.get(push.channel);
    if (known === undefined) {
      this.#violation(`push for nothing: ${JSON.stringify(push).slice(0, 200)}`);
      return;
    }
    if (push.type === "cadence") this.moves++;
    if (known.phase === "asked") known.early.push(push);
    else if (known.phase === "running") known.following.take(push);
  }
}
