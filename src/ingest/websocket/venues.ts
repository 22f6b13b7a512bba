/** The venues by name. A venue is added here and nowhere else. */
import { binance, binanceUsdm } from "./binance.ts";
import { coinbase } from "./coinbase.ts";
import { kraken } from "./kraken.ts";
import { krakenV1 } from "./kraken-v1.ts";
import { okx } from "./okx.ts";
import type { Venue } from "./venue.ts";

const VENUES: readonly Venue[] = [kraken, krakenV1, coinbase, binance, binanceUsdm, okx];

export const venueNames: readonly string[] = VENUES.map(({ name }) => name);

export const venueNamed = (name: string): Venue | null => VENUES.find((venue) => venue.name === name) ?? null;
