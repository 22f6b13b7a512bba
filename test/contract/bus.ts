/**
 * What every Bus has to do, and what a follower makes of it when it does it badly. Run by each implementation.
 *
 * The follower tests lay faults (src/bus/faults.ts) over the implementation and inject the clock, so they are about
 * this bus's messages but never about its timing.
 */
import { afterEach, beforeEach, describe } from "bun:test";
import type { Bus } from "../../src/bus/bus.ts";
import { busBasics } from "./bus-basics.ts";
import { followerBounds } from "./bus-follower-bounds.ts";
import { followerLoss } from "./bus-follower-loss.ts";
import { followerOwners } from "./bus-follower-owners.ts";
import { followerProperties } from "./bus-properties.ts";
import { onStageOf } from "./bus-stage.ts";

export interface BusFixture {
  /** One more node of the same cluster. */
  node(): Promise<Bus>;
  /** Settles when everything that was sent has arrived and was answered. */
  settle(): Promise<void>;
  close(): Promise<void>;
}

export interface BusContractOptions {
  /** The bus knows who subscribes, so `wanted` can be false. Default true. */
  readonly knowsInterest?: boolean;
  /** How long a request may take to be rejected when nobody answers. Default 3000. */
  readonly rejectMs?: number;
  /** Default 150. */
  readonly propertyRuns?: number;
}

export function busContract(name: string, make: () => Promise<BusFixture>, options: BusContractOptions = {}): void {
  describe(`bus ${name}`, () => {
    let fixture: BusFixture;
    beforeEach(async () => {
      fixture = await make();
    });
    afterEach(() => fixture.close());
    busBasics(() => fixture, options);
    const onStage = onStageOf(() => fixture);
    followerLoss(onStage);
    followerOwners(onStage);
    followerBounds(onStage);
  });
  describe(`bus ${name}`, () => followerProperties(make, options.propertyRuns ?? 150));
}
