/**
 * The connection of `tail` to a node: subscribes, keeps each channel's chain, reconnects and goes on where it stopped.
 *
 * Invariants: the listener gets each channel's pushes in order and once; whatever is missing was told to it before.
 * At the limit: a node that cannot be reached is tried again for ever, at most 5 s apart; a connection on which nothing
 * came for `silenceMsMax`, although we ask, is given up and made again.
 */

import { Chain } from "../../../client/src/chain.ts";
import { type ChannelPush, type DrainPush, type Reply, readFrame } from "../../../client/src/frames.ts";
import { createBackoff } from "../../lib/backoff.ts";

const pingMs = 5000;
const silenceMsMax = 15_000;

export interface FeedListener {
  connected(): void;
  /** `first`: it never was connected before. */
  lost(reason: string, retryMs: number, first: boolean): void;
  refused(channel: string, code: number, message: string): void;
  /** A push to show. `restart`: what was shown before is void. */
  push(push: ChannelPush, raw: string, restart: boolean): void;
  /** Something before it is missing; it was asked for again. */
  broken(push: ChannelPush): void;
  drain(push: DrainPush): void;
  /** A frame that is neither a push nor a reply. */
  odd(frame: string): void;
}

export interface FeedOptions {
  readonly url: string;
  readonly channels: readonly string[];
  /** ms; null: real time. */
  readonly cadence: number | null;
}

export interface Feed {
  close(): void;
}

export function openFeed({ url, channels, cadence }: FeedOptions, listener: FeedListener): Feed {
  const chains = new Map(channels.map((channel) => [channel, new Chain()]));
  /** Channels whose missing part was asked for. */
  const repairing = new Set<string>();
  const backoff = createBackoff(200, 5000, Math.random);
  let socket: WebSocket | null = null;
  let retry: ReturnType<typeof setTimeout> | undefined;
  let closed = false;
  let everConnected = false;
  let commands = 0;
  let heardMs = 0;

  const command = (fields: Readonly<Record<string, unknown>>): void => {
    commands += 1;
    socket?.send(JSON.stringify({ id: commands, ...fields }));
  };

  function subscribe(names: readonly string[]): void {
    const since = names.flatMap((name) => {
      const position = chains.get(name)?.position;
      return position === null || position === undefined ? [] : [[name, position]];
    });
    command({
      op: "subscribe",
      channels: names,
      ...(cadence === null ? {} : { cadence }),
      ...(since.length === 0 ? {} : { since: Object.fromEntries(since) }),
    });
  }

  function connect(): void {
    let reason = "";
    const opened = new WebSocket(url);
    socket = opened;
    opened.onopen = () => {
      everConnected = true;
      heardMs = performance.now();
      backoff.reset();
      repairing.clear();
      listener.connected();
      subscribe([...chains.keys()]);
    };
    opened.onmessage = ({ data }) => {
      heardMs = performance.now();
      receive(String(data));
    };
    opened.onerror = (event) => {
      reason = "message" in event ? String(event.message).replace(/^WebSocket connection to '.*' failed: /, "") : "";
    };
    opened.onclose = (event) => {
      if (closed || socket !== opened) return;
      socket = null;
      if (reason === "")
        reason = event.code === 1006 ? "connection lost" : `closed ${event.code} ${event.reason}`.trim();
      const retryMs = Math.round(backoff.next());
      listener.lost(reason, retryMs, !everConnected);
      retry = setTimeout(connect, retryMs);
    };
  }

  function receive(frame: string): void {
    const read = readFrame(frame);
    if (read === null) listener.odd(frame);
    else if ("reply" in read) answered(read.reply);
    else if (read.push.type === "drain") listener.drain(read.push);
    else pushed(read.push, frame);
  }

  function pushed(push: ChannelPush, frame: string): void {
    const chain = chains.get(push.channel);
    // It may still be on its way when its channel was refused.
    if (chain === undefined) return;
    const verdict = chain.accept(push);
    if (verdict === "ignore") return;
    if (verdict === "broken") {
      repair(push, chain);
      return;
    }
    if (push.type !== "stale" && push.type !== "cadence") repairing.delete(push.channel);
    listener.push(push, frame, verdict === "restart");
  }

  function answered(reply: Reply): void {
    for (const [channel, { epoch, seq }] of Object.entries(reply.channels ?? {})) {
      // The reply to an unsubscribe has no positions.
      if (typeof epoch === "string") chains.get(channel)?.begins(epoch, seq);
    }
    const errors = reply.errors ?? (reply.error === undefined ? [] : [reply.error]);
    for (const { channel, code, message } of errors) {
      if (channel !== undefined) chains.delete(channel);
      listener.refused(channel ?? "", code, message);
    }
  }

  /** Books are asked for whole; items are opened anew from what we have. Once, however many pushes show the fault. */
  function repair(push: ChannelPush, chain: Chain): void {
    if (repairing.has(push.channel)) return;
    repairing.add(push.channel);
    listener.broken(push);
    if (push.type === "items") {
      command({ op: "unsubscribe", channels: [push.channel] });
      subscribe([push.channel]);
    } else {
      chain.forget();
      command({ op: "resync", channel: push.channel });
    }
  }

  const heartbeat = setInterval(() => {
    if (socket?.readyState !== WebSocket.OPEN) return;
    if (performance.now() - heardMs > silenceMsMax) socket.close();
    else command({ op: "ping" });
  }, pingMs);
  connect();

  return {
    close() {
      closed = true;
      clearTimeout(retry);
      clearInterval(heartbeat);
      socket?.close();
    },
  };
}
