/** What the NATS bus counts and shows: metrics, /readyz. */

/** Totals since the bus was made. */
export interface NatsBusCounters {
  /** Messages given to the connection, and their bytes; a split one counts once per part. */
  messagesOut: number;
  bytesOut: number;
  /** Publications that left in them. */
  publicationsOut: number;
  messagesIn: number;
  bytesIn: number;
  /** Publications handed to receivers here. */
  publicationsIn: number;
  /** Messages that could not be read: another version, garbage, parts that never became whole. */
  refusedVersion: number;
  refusedMalformed: number;
  refusedIncomplete: number;
  /** Publications that waited too long or were too many while the server did not take them: healed by HEADs. */
  dropped: number;
  /** Publications under a fanout topic that cannot be a subject: they reach this node only. */
  badTopics: number;
  /** Requests sent to other nodes, and answers given to them. */
  asksOut: number;
  answersOut: number;
  /** Answers to a request that was over, or from an owner whose token is below the highest seen. */
  lateAnswers: number;
  oldAnswers: number;
  /** Stored publications: messages acknowledged, sent again, found there already, and the gaps healed from the stream. */
  stored: number;
  storedAgain: number;
  storedBefore: number;
  streamHeals: number;
}

export const newCounters = (): NatsBusCounters => ({
  messagesOut: 0,
  bytesOut: 0,
  publicationsOut: 0,
  messagesIn: 0,
  bytesIn: 0,
  publicationsIn: 0,
  refusedVersion: 0,
  refusedMalformed: 0,
  refusedIncomplete: 0,
  dropped: 0,
  badTopics: 0,
  asksOut: 0,
  answersOut: 0,
  lateAnswers: 0,
  oldAnswers: 0,
  stored: 0,
  storedAgain: 0,
  storedBefore: 0,
  streamHeals: 0,
});
