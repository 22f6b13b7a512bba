/** Plans as text, short enough to read. */
import type { Plan, Step } from "./plan.ts";

/** `feed(good aaa 12 7ms)`: what it is, then its fields without their names; seeds are left out, they say nothing. */
export function shown(step: Step): string {
  const fields = Object.entries(step).filter(([name]) => name !== "do" && name !== "seed");
  return `${step.do}(${fields.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(" ")})`;
}

export function shownPlan({ steps, ...rest }: Plan): string {
  const settings = Object.entries(rest).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return `${settings.join(" ")}\n${steps.map((step) => `  ${shown(step)}`).join("\n")}`;
}
