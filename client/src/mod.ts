/** The face of the package. */
export { Book, type LevelDifference } from "./book.ts";
export { Chain, type Link, type Verdict } from "./chain.ts";
export { type Client, connect } from "./client.ts";
export type { Clock } from "./clock.ts";
export type {
  AggTrade,
  AvgPrice,
  BookTicker,
  Candle,
  Instrument,
  Liquidation,
  MarkPrice,
  MiniTicker,
  Side,
  Ticker,
  Trade,
  WindowTicker,
} from "./data.ts";
export { type ClientErrorCode, TidegateError } from "./errors.ts";
export type { ChannelEvents, ClientEvents, Gap, Listener, StaleReason } from "./events.ts";
export {
  type CadencePush,
  type ChannelPush,
  type DataPush,
  type DeltaPush,
  type Depth,
  type DrainPush,
  type GapPush,
  type ItemsPush,
  type Level,
  type Outcome,
  type Position,
  type Push,
  type Reply,
  type ReplyError,
  readFrame,
  type SnapshotPush,
  type StalePush,
  type ValuePush,
} from "./frames.ts";
export { Head } from "./head.ts";
export type { ConnectOptions, SubscribeOptions } from "./options.ts";
export type { SocketConstructor, SocketLike } from "./socket.ts";
export type {
  AnyUpdate,
  BookSubscription,
  BookUpdate,
  CandlesSubscription,
  CandlesUpdate,
  GapUpdate,
  ItemsSubscription,
  ItemsUpdate,
  Subscription,
  SubscriptionState,
  SubscriptionTo,
  ValueSubscription,
  ValueUpdate,
} from "./subscription.ts";
