/** What engine tests speak of: two channels and their publications. */
import type { Trade } from "../../channel/types.ts";
import type { Rig } from "./rig.ts";

export const DEPTH = "btcusdt@depth";
export const TRADE = "btcusdt@trade";
export const trade = (id: number): Trade => ({
  id: String(id),
  t: id,
  price: "1",
  quantity: "1",
  side: "buy",
  time: id,
});
export const trades = (...ids: number[]) => ({ type: "items" as const, data: ids.map(trade) });
export const book = (bids: [string, string][], asks: [string, string][] = []) => ({
  type: "snapshot" as const,
  data: { bids, asks },
});

export const publication = (seq: number) => ({
  channel: DEPTH,
  kind: "depth" as const,
  user: "",
  time: seq,
  seq,
  prev: seq - 1,
  receivedUs: 1,
});

export function readyBook(rig: Rig, seq = 10): void {
  rig.ready(DEPTH, { seq, state: book([["100", "1"]], [["101", "1"]]) });
}
