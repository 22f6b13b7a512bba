/** The venues by name. A venue is added here and nowhere else. */
import { krakenV1 } from "./kraken-v1.ts";
import type { Venue } from "./venue.ts";

const VENUES: readonly Venue[] = [krakenV1];

export const venueNames: readonly string[] = VENUES.map(({ name }) => name);

export const venueNamed = (name: string): Venue | null => VENUES.find((venue) => venue.name === name) ?? null;
