import { expect, test } from "bun:test";
import { FairPrice } from "./fair.ts";
import { noiseAt, Random } from "./random.ts";

const START = 1_795_321_303_824;
const HOUR = 3_600_000;

test("random - equal seeds give equal sequences, others do not", () => {
  const draw = (seed: number) => {
    const random = new Random(seed);
    return Array.from({ length: 20 }, () => random.next());
  };
  expect(draw(7)).toEqual(draw(7));
  expect(draw(7)).not.toEqual(draw(8));
});

test("random - uniform, normal and exponential have their moments", () => {
  const random = new Random(1);
  const mean = (draw: () => number) => {
    let sum = 0;
    for (let i = 0; i < 20_000; i++) sum += draw();
    return sum / 20_000;
  };
  expect(mean(() => random.next())).toBeCloseTo(0.5, 1);
  expect(mean(() => random.normal())).toBeCloseTo(0, 1);
  expect(mean(() => random.normal() ** 2)).toBeCloseTo(1, 1);
  expect(mean(() => random.exponential())).toBeCloseTo(1, 1);
  expect(mean(() => noiseAt(3, random.below(2 ** 40)))).toBeCloseTo(0, 1);
});

test("fair - depends on time alone, whatever was asked before", () => {
  const one = new FairPrice(5, "btcusdt", 97000, 0.025);
  const other = new FairPrice(5, "btcusdt", 97000, 0.025);
  for (let t = START; t < START + HOUR; t += 61_007) other.at(t);
  expect(other.at(START + 12_345.6)).toBe(one.at(START + 12_345.6));
  expect(new FairPrice(6, "btcusdt", 97000, 0.025).at(START)).not.toBe(one.at(START));
});

test("fair - moves like the asked volatility, without jumps, and stays near its anchor", () => {
  let squares = 0;
  let count = 0;
  for (let seed = 0; seed < 20; seed++) {
    const fair = new FairPrice(seed, "ethusdt", 2750, 0.03);
    let before = fair.at(START);
    for (let hour = 1; hour <= 240; hour++) {
      const price = fair.at(START + hour * HOUR);
      squares += Math.log(price / before) ** 2;
      count++;
      before = price;
      expect(Math.abs(price / 2750 - 1)).toBeLessThan(0.3);
      expect(Math.abs(fair.at(START + hour * HOUR + 10) / price - 1)).toBeLessThan(0.0005);
    }
  }
  const daily = Math.sqrt((squares / count) * 24);
  expect(daily).toBeGreaterThan(0.02);
  expect(daily).toBeLessThan(0.045);
});
