/** The face of the package. */
export { Book, type LevelDifference } from "./book.ts";
export { Chain, type Link, type Verdict } from "./chain.ts";
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
