/** Readers of flags' values, for commander. */
import { InvalidArgumentError } from "commander";

/** Of a flag that may be repeated. */
export const collected = (text: string, before: readonly string[] = []): readonly string[] => [...before, text];

/** A whole number. */
export const number =
  (least: number) =>
  (text: string): number => {
    const value = Number(text);
    if (text.trim() === "" || !Number.isInteger(value) || value < least) {
      throw new InvalidArgumentError(`Want a whole number from ${least} on.`);
    }
    return value;
  };

/** A number that may have a fraction, not below zero. */
export function amount(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value) || value < 0) throw new InvalidArgumentError("Want a number.");
  return value;
}
