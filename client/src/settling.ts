/** A promise that is made only when somebody asks for it, so that a rejection nobody waits for disturbs nobody. */
export class Settling<T> {
  #promise: Promise<T> | null = null;
  #settle: { resolve(value: T): void; reject(error: Error): void } | null = null;
  #outcome: { readonly value: T } | { readonly error: Error } | null = null;

  get promise(): Promise<T> {
    this.#promise ??= new Promise((resolve, reject) => {
      if (this.#outcome === null) this.#settle = { resolve, reject };
      else if ("value" in this.#outcome) resolve(this.#outcome.value);
      else reject(this.#outcome.error);
    });
    return this.#promise;
  }

  /** Whether anybody has asked for the promise. */
  get asked(): boolean {
    return this.#promise !== null;
  }

  /** The first outcome counts. */
  resolve(value: T): void {
    if (this.#outcome !== null) return;
    this.#outcome = { value };
    this.#settle?.resolve(value);
  }

  reject(error: Error): void {
    if (this.#outcome !== null) return;
    this.#outcome = { error };
    this.#settle?.reject(error);
  }
}
