/**
 * Joins and resyncs of workers that have not been answered yet.
 *
 * Invariants: a worker that has lost patience asks again under a new number, and the question keeps its place: so many may
 * wait that each is asked again before its turn. At the limit: as many as sessions may have joins in flight.
 */
export interface Question {
  readonly worker: number;
  /** The number its answer carries. */
  request: number;
}

export class Questions {
  readonly #open = new Map<string, Question>();

  get size(): number {
    return this.#open.size;
  }

  begin(worker: number, request: number): Question {
    const question = { worker, request };
    this.#open.set(keyOf(question), question);
    return question;
  }

  /** True if the question that was asked as `instead` still waits: from now on it is `request`. */
  again(worker: number, request: number, instead: number | undefined): boolean {
    const question = instead === undefined ? undefined : this.#open.get(keyOf({ worker, request: instead }));
    if (question === undefined) return false;
    this.#open.delete(keyOf(question));
    question.request = request;
    this.#open.set(keyOf(question), question);
    return true;
  }

  /** It is answered, or nobody needs the answer. */
  end(question: Question): void {
    this.#open.delete(keyOf(question));
  }

  gone(worker: number): void {
    for (const [key, question] of this.#open) if (question.worker === worker) this.#open.delete(key);
  }
}

const keyOf = ({ worker, request }: Question): string => `${worker} ${request}`;
