/** The admin side: everything the composition root may use of it. */

export type { DrainDoor } from "./drain.ts";
export { type LoopLag, watchLoopLag } from "./loop-lag.ts";
export { type AdminAddress, type AdminServer, startAdmin } from "./server.ts";
export type {
  BusLinkView,
  BusShardView,
  ConfigView,
  EdgeView,
  EngineView,
  NodeView,
  ShardView,
  WorkerView,
} from "./view.ts";
