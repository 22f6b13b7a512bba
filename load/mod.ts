/** The face of the load tool. */
export { Histogram, type Percentiles } from "./histogram.ts";
export { type Judged, judge, type Limits, NO_LIMITS } from "./limits.ts";
export {
  DEFAULTS,
  expandNames,
  type Jitter,
  type LoadOptions,
  readAddresses,
  readBytes,
  readDuration,
  readJitter,
  readShare,
  readSlowRate,
  type SlowRate,
} from "./options.ts";
export { runChild } from "./processes.ts";
export type { ProgressOutput } from "./progress.ts";
export { type Report, reportText } from "./report.ts";
export { type LoadWorld, runLoad } from "./run.ts";
export { FAULTS, type Fault } from "./tally.ts";
export { lookAlike } from "./verify/binance.ts";
