/** Writes docs/metrics.md from the table of metrics: `npm run docs`. */
import { metricsPage } from "../src/admin/metrics-page.ts";

await Bun.write(new URL("../docs/metrics.md", import.meta.url), metricsPage());
