/** Waiting for a condition, the only way a test here lets time pass. */

/**
 * Settles when `condition` holds; rejects after `ms` with `what`, asked at that time so that it can show the state.
 * A condition may be asynchronous; it is never asked twice at once.
 */
export async function waitFor(
  condition: () => boolean | Promise<boolean>,
  what: string | (() => string),
  ms = 15_000,
): Promise<void> {
  const end = performance.now() + ms;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`not within ${ms} ms: ${typeof what === "string" ? what : what()}`);
    await Bun.sleep(3);
  }
}
