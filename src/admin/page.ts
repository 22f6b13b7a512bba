/** The admin port's first page: what can be asked here. */
import type { NodeView } from "./view.ts";

export const ENDPOINTS = [
  ["/healthz", "the process is alive"],
  ["/readyz", "whether the node may take traffic, part by part (200 or 503)"],
  ["/metrics", "Prometheus metrics"],
] as const;
/** What is no page to look at. */
export const COMMANDS = [
  ["POST /api/drain", "close all sessions, then end the node (tidegate drain does it)"],
] as const;

const htmlText = (text: string): string => text.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);

export function page({ nodeId, version }: Pick<NodeView, "nodeId" | "version">): string {
  const rows = ENDPOINTS.map(([path, what]) => `<tr><td><a href="${path}">${path}</a></td><td>${what}</td></tr>`);
  const commands = COMMANDS.map(([path, what]) => `<tr><td>${path}</td><td>${what}</td></tr>`);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tidegate ${htmlText(nodeId)}</title>
<style>
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 42rem; margin: 3rem auto; padding: 0 1rem }
td { padding: .2rem 1.5rem .2rem 0 }
</style>
</head>
<body>
<h1>Tidegate</h1>
<p>Node <b>${htmlText(nodeId)}</b>, version ${htmlText(version)}.</p>
<table>${rows.join("")}${commands.join("")}</table>
</body>
</html>
`;
}
