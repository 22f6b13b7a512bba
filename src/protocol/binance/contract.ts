/** What Binance says of a USD-M contract: its status, and dates that a perpetual one has no true value for. */
import type { InstrumentStatus } from "../../channel/instruments.ts";

const STATUS: Readonly<Record<InstrumentStatus, string>> = {
  trading: "TRADING",
  halt: "SETTLING",
  auction: "PENDING_TRADING",
  delisted: "CLOSE",
};

export const contractStatus = (status: InstrumentStatus): string => STATUS[status];

/** Binance's delivery date of contracts without one: 2100-12-25T08:00Z. */
export const NEVER = 4_133_404_800_000;
/** An onboard date that nobody told us. */
export const UNKNOWN = 0;
