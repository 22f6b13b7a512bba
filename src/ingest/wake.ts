/** Lets one loop wait for whatever comes first. Invariant: what happened before the wait began is not missed. */
export class Wake {
  #set = false;
  #resolve: (() => void) | null = null;

  /** Something happened. */
  readonly call = (): void => {
    this.#set = true;
    this.#resolve?.();
    this.#resolve = null;
  };

  /** Resolves at the next call, at once if there was one since the last wait. */
  async wait(): Promise<void> {
    if (!this.#set) {
      await new Promise<void>((resolve) => {
        this.#resolve = resolve;
      });
    }
    this.#set = false;
  }
}
