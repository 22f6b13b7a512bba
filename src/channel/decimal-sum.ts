/** A running exact sum of decimals: volumes of candles and windows. */
import {
  bigPower,
  type Decimal,
  joinTrimmed,
  negate,
  normal,
  POWERS,
  parseDecimal,
  quotient,
  SAFE,
  toText,
  unitsAt,
} from "./decimal-units.ts";

/**
 * A running exact sum. Whole part and fraction are kept apart, so that safe integers last for any real volume; BigInt
 * beyond (more than 15 decimals, or a whole part over 2^53).
 * Its text is a function of its value alone (no trailing zeros), so a sum restored from its text goes on identically.
 */
export class DecimalSum {
  #whole = 0;
  /** 0 <= fraction < 10^scale */
  #fraction = 0;
  #scale = 0;
  /** In units of 10^-scale, in place of whole and fraction. */
  #big: bigint | null = null;
  #text: string | null = "0";

  add(value: Decimal): void {
    this.#text = null;
    if (this.#big !== null || !this.#addParts(value.units, value.scale)) this.#addBig(value);
  }

  subtract(value: Decimal): void {
    this.add(negate(value));
  }

  set(text: string): void {
    this.clear();
    this.add(parseDecimal(text));
  }

  clear(): void {
    this.#whole = 0;
    this.#fraction = 0;
    this.#scale = 0;
    this.#big = null;
    this.#text = "0";
  }

  get value(): Decimal {
    const scale = this.#scale;
    if (this.#big !== null) return { units: this.#big, scale };
    const power = POWERS[scale] as number;
    const units = this.#whole * power + this.#fraction;
    if (units <= SAFE && units >= -SAFE) return { units, scale };
    return { units: BigInt(this.#whole) * BigInt(power) + BigInt(this.#fraction), scale };
  }

  /** Without trailing zeros. */
  get text(): string {
    this.#text ??=
      this.#big === null && this.#whole >= 0
        ? joinTrimmed(this.#whole, this.#fraction, this.#scale)
        : toText(this.value);
    return this.#text;
  }

  /** False, and the value as it was, if safe integers do not suffice. */
  #addParts(units: number | bigint, scale: number): boolean {
    if (typeof units === "bigint" || scale >= POWERS.length) return false;
    const power = POWERS[scale] as number;
    const whole = units < 0 ? -quotient(-units, power) : quotient(units, power);
    let fraction = units - whole * power;
    if (scale > this.#scale) {
      this.#fraction *= POWERS[scale - this.#scale] as number;
      this.#scale = scale;
    } else if (scale < this.#scale) {
      fraction *= POWERS[this.#scale - scale] as number;
    }
    const one = POWERS[this.#scale] as number;
    fraction += this.#fraction;
    const carry = fraction >= one ? 1 : fraction < 0 ? -1 : 0;
    const sum = this.#whole + whole + carry;
    if (sum > SAFE || sum < -SAFE) return false;
    this.#whole = sum;
    this.#fraction = fraction - carry * one;
    return true;
  }

  #addBig(value: Decimal): void {
    const scale = Math.max(value.scale, this.#scale);
    this.#big = unitsAt(this.value, scale) + unitsAt(value, scale);
    this.#scale = scale;
    // A large single value, not a large sum: go on with parts.
    if (scale >= POWERS.length) return;
    const power = bigPower(scale);
    const rest = this.#big % power;
    const fraction = rest < 0n ? rest + power : rest;
    const whole = (this.#big - fraction) / power;
    if (typeof normal(whole) === "bigint") return;
    this.#whole = Number(whole);
    this.#fraction = Number(fraction);
    this.#big = null;
  }
}
