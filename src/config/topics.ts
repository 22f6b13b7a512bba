/**
 * The setting `topics`: a list of what holds for single channels (src/channel/topic-settings.ts).
 */
import { z } from "zod";
import { isTopic, type TopicSpec } from "../channel/topic-settings.ts";

const want = (sentence: string) => ({ error: () => sentence });

const whole = (min: number, max: number) => {
  const wanted = want(`a whole number from ${min} to ${max}`);
  return z.int(wanted).min(min, wanted).max(max, wanted);
};

/** The slowest cadence is 3000 ms. */
const RATE_MIN = 1 / 3;
const RATE_MAX = 1000;
const rateWanted = want("a number of flushes per second from 0.34 to 1000");
const name = want("a channel name such as btcusdt@depth, {symbol}@trade or usdm:{symbol}@markPrice");
const seconds = want("a number of seconds above 0");

export const topicSchema = z
  .strictObject(
    {
      version: whole(0, 2 ** 31).optional(),
      // The node's default market does not matter to what is a name.
      topic: z.string(name).refine((topic) => isTopic(topic, "spot"), name),
      rate: z.number(rateWanted).min(RATE_MIN, rateWanted).max(RATE_MAX, rateWanted).optional(),
      burst: whole(0, 10_000).optional(),
      auth: z.enum(["public", "private"], want("public or private")).optional(),
      onSlow: z.enum(["wait", "gap"], want("wait or gap")).optional(),
      history: z
        .strictObject(
          { count: whole(0, 1_000_000).optional(), seconds: z.number(seconds).gt(0, seconds).optional() },
          want("an object with count, seconds or both"),
        )
        .optional(),
    },
    want("an object with topic and what holds for it"),
  )
  .superRefine(({ rate, burst }, context) => {
    if (rate !== undefined || burst === undefined || burst === 0) return;
    context.addIssue({ code: "custom", message: "rate beside burst", path: ["burst"], input: burst });
  });

export const topicsSchema: z.ZodType<readonly TopicSpec[]> = z.array(topicSchema, want("a list of topics"));
