import { expect, test } from "bun:test";
import { NO_LIMITS } from "./limits.ts";
import { DEFAULTS, type LoadOptions } from "./options.ts";
import { Progress } from "./progress.ts";
import { reportOf, reportText } from "./report.ts";
import { merged, Tally } from "./tally.ts";

const OPTIONS: LoadOptions = {
  ...DEFAULTS,
  urls: ["ws://127.0.0.1:8080/ws/quote/v1"],
  connections: 2000,
  dialect: "native",
  channels: ["x@trade"],
  perConnection: null,
  byUrl: false,
  cadence: null,
  messages: null,
  failFast: false,
  slowShare: 0,
  jitter: null,
  jitterShare: 1,
  reconnect: true,
  verify: "chains",
  localAddresses: "auto",
  tls: { ca: null, insecure: false },
  processes: null,
  limits: { ...NO_LIMITS, maxP99Ms: 5 },
};

/** A process's part: 1,000 connections that were all opened, and 100 messages/s for 10 s. */
function part(): Tally {
  const tally = new Tally();
  Object.assign(tally.counts, {
    attempts: 1000,
    opened: 1000,
    open: 1000,
    messages: 1200,
    measuredMessages: 1000,
    links: 1200,
  });
  Object.assign(tally.counts, { measuredBytes: 200_000, gaps: 1, missed: 17 });
  Object.assign(tally, { startBytes: 50e6, bytes: 56e6, measuredSeconds: 10, cpuSeconds: 5 });
  for (let us = 1000; us <= 4000; us += 100) tally.latency.add(us);
  tally.closes["4008 too slow"] = 2;
  return tally;
}
const through = (tally: Tally) => JSON.parse(JSON.stringify(tally.wire()));

test("load report - the parts of two processes add up", () => {
  const report = reportOf(OPTIONS, 2, merged([through(part()), through(part())]));
  expect(report).toMatchObject({
    connect: { opened: 2000, failed: 0, success: 1 },
    seconds: 10,
    rate: { messagesPerSecond: 200, bytesPerSecond: 40_000 },
    messages: 2400,
    told: { gaps: 2, missed: 34 },
    closed: 4,
    closes: { "4008 too slow": 4 },
    tool: { bytesPerConnection: 6000, cores: 1 },
    limits: [{ limit: "max-p99", want: 5, met: true }],
    ok: true,
  });
  expect(report.latencyMs.count).toBe(62);
});

test("load report - a fault, a missed limit or nobody connected is not ok", () => {
  const faulty = part();
  faulty.fault("chain", () => "x@trade: items 5..6 after 3");
  const report = reportOf(OPTIONS, 1, merged([through(faulty)]));
  expect([report.ok, report.samples]).toEqual([false, ["chain: x@trade: items 5..6 after 3"]]);
  expect(reportText(report)).toContain("FAULTS        chain 1, order 0, ids 0, book 0, frame 0");
  const late = part();
  for (let at = 0; at < 10; at++) late.latency.add(9000);
  expect(reportOf(OPTIONS, 1, late)).toMatchObject({ ok: false, limits: [{ limit: "max-p99", met: false }] });
  const nobody = reportOf({ ...OPTIONS, limits: NO_LIMITS }, 1, new Tally());
  expect(nobody.ok).toBe(false);
  expect(reportText(nobody)).toContain("FAULTS        nobody connected");
});

test("load report - only the first faults are kept as sentences, all are counted", () => {
  const tally = new Tally();
  let made = 0;
  for (let at = 0; at < 50; at++) tally.fault("ids", () => String(++made));
  expect([tally.faults.ids, tally.samples.length, made]).toEqual([50, 20, 20]);
  expect(merged([through(tally), through(tally)]).samples).toHaveLength(20);
});

function shown(columns: number | null): { text: string; progress: Progress } {
  const seen = { text: "", progress: null as unknown as Progress };
  const output = {
    write(text: string) {
      seen.text += text;
    },
    columns: () => columns,
  };
  seen.progress = new Progress(output, 2000, 600_000);
  return seen;
}

test("load progress - a terminal has one line that is redrawn and cut to its width", () => {
  const seen = shown(40);
  const tally = part();
  seen.progress.show(tally, 1000);
  tally.counts.messages += 500;
  seen.progress.show(tally, 2000);
  expect(seen.text).toBe(
    "\r\x1b[K1,000/2,000 open  1,200 msg/s  0 B/s  p\r\x1b[K1,000/2,000 open  500 msg/s  0 B/s  p99",
  );
  seen.progress.end();
  expect(seen.text.endsWith("\r\x1b[K")).toBe(true);
});

test("load progress - elsewhere it is a plain line now and then", () => {
  const seen = shown(null);
  for (let second = 1; second <= 6; second++) seen.progress.show(part(), second * 1000);
  seen.progress.note("a sentence");
  seen.progress.end();
  const lines = seen.text.split("\n");
  expect(lines).toHaveLength(4);
  expect(lines[0]).toEndWith("gaps 1  closed 2  faults 0  0:10/10:00");
  expect(seen.text).not.toContain("\x1b");
});
