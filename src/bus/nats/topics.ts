/**
 * Fanout topics as this bus knows them: the subject of each, and which way its publications go.
 *
 * At the limit: TOPICS_MAX are remembered, then all are worked out again; a topic that cannot be a subject stays inside
 * this node and is told.
 */
import { subjectOf } from "../subject.ts";

/** How a topic's publications travel: not beyond this node, through the server, or through the stream as well. */
export type Way = "memory" | "nats" | "jetstream";

export interface Topic {
  /** '' where it cannot be one. */
  readonly subject: string;
  readonly way: Way;
}

export interface TopicsOptions {
  readonly cluster: string;
  /** Of topics that do not name their own. */
  readonly kind: Way;
  readonly busOf: ((topic: string) => Way | null) | undefined;
  readonly refused: (error: unknown) => void;
}

const TOPICS_MAX = 100_000;

export class Topics {
  readonly #options: TopicsOptions;
  readonly #known = new Map<string, Topic>();

  constructor(options: TopicsOptions) {
    this.#options = options;
  }

  of(name: string): Topic {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const made = this.#make(name);
    // Private topics come and go with their users.
    if (this.#known.size >= TOPICS_MAX) this.#known.clear();
    this.#known.set(name, made);
    return made;
  }

  #make(name: string): Topic {
    const { cluster, kind, busOf, refused } = this.#options;
    try {
      return { subject: subjectOf(cluster, name), way: busOf?.(name) ?? kind };
    } catch (error) {
      refused(error);
      return { subject: "", way: "memory" };
    }
  }
}
