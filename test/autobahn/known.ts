/** Cases of the Autobahn suite that do not end with OK against our listener, each with what it ends with and why. */

export interface Known {
  readonly behavior: string;
  readonly close: string;
  readonly reason: string;
}

const FAILS_LATE: Known = {
  behavior: "NON-STRICT",
  close: "OK",
  reason:
    "Bun checks the UTF-8 of a text message when the whole message is there, and then closes 1007; the case would like it " +
    "to close at the first wrong byte. RFC 6455 allows both (section 8.1).",
};

/** The suite itself has no verdict on these. */
const informational = (reason: string): Known => ({ behavior: "INFORMATIONAL", close: "INFORMATIONAL", reason });

export const KNOWN: Readonly<Record<string, Known>> = {
  "6.4.1": FAILS_LATE,
  "6.4.2": FAILS_LATE,
  "6.4.3": FAILS_LATE,
  "6.4.4": FAILS_LATE,
  "7.1.6": informational("256 KiB, a ping and a close at once: the echo may or may not come before the close."),
  "7.13.1": informational("A close code of 5000 is out of range; Bun answers with 1002."),
  "7.13.2": informational("A close code of 65535 is out of range; Bun answers with 1002."),
};
