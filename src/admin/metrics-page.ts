/** docs/metrics.md, written from the table of metrics (`npm run docs`). */
import { METRICS } from "./metrics.ts";

export function metricsPage(): string {
  const rows = METRICS.map(({ name, type, labels, help }) => {
    const shown = labels.map((label) => `\`${label}\``).join(", ");
    return `| \`${name}\` | ${type} | ${shown} | ${help} |`;
  });
  return [
    "# Metrics",
    "",
    "`GET /metrics` on the admin port, in Prometheus text format. This page is written from `src/admin/metrics.ts` by",
    "`npm run docs`; a test compares them. A name, its type and its labels do not change without a line in `CHANGELOG.md`.",
    "",
    "| name | type | labels | what it is |",
    "|---|---|---|---|",
    ...rows,
    "",
  ].join("\n");
}
