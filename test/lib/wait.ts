/** Waiting for a condition, the only way a test here lets time pass. */

/** Of a test or hook that waits for a whole node: far more than it takes, for machines that are busy with other things. */
export const TEST_MS_MAX = 60_000;

/**
 * Settles when `condition` holds; rejects after `ms` with `what`, asked at that time so that it can show the state.
 * A condition may be asynchronous; it is never asked twice at once.
 */
export async function waitFor(
  condition: () => boolean | Promise<boolean>,
  what: string | (() => string),
  ms = 18_000,
): Promise<void> {
  const end = performance.now() + ms;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`not within ${ms} ms: ${typeof what === "string" ? what : what()}`);
    await Bun.sleep(3);
  }
}

/** Settles when `what` does not reject any more: a server is back. Rejects after `ms` with its last error. */
export async function untilWorks(what: () => Promise<unknown>, ms?: number): Promise<void> {
  let error: unknown = null;
  const works = (): Promise<boolean> =>
    what().then(
      () => true,
      (reason: unknown) => {
        error = reason;
        return false;
      },
    );
  await waitFor(works, () => `it works: ${error}`, ms);
}
