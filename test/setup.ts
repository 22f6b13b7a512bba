/**
 * What every test file starts from: property tests try the same values each time, so that a run says something about the
 * change and not about luck. TIDEGATE_PROPERTY_SEED=random (or a number) looks elsewhere.
 */
import fc from "fast-check";

const DEFAULT_SEED = 20_260_101;
const asked = process.env.TIDEGATE_PROPERTY_SEED;

if (asked !== "random") fc.configureGlobal({ seed: asked === undefined ? DEFAULT_SEED : Number(asked) });
