/** Reads `sasl.jaas.config` in the form Java clients have it: `<module> required username="alice" password="secret";`. */

export interface Jaas {
  /** Last part of the module's class: `PlainLoginModule`, `ScramLoginModule`. */
  readonly module: string;
  readonly options: Readonly<Record<string, string>>;
}

const HEAD = /^\s*([\w.$]+)\s+(?:required|requisite|sufficient|optional)\b/i;
const OPTION = /([\w.-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|([^\s;"']+))/g;

/** Null if the text has not that form. */
export function parseJaas(text: string): Jaas | null {
  const head = HEAD.exec(text);
  if (head === null || !text.trimEnd().endsWith(";")) return null;
  const options: Record<string, string> = {};
  for (const [, name, double, single, bare] of text.slice(head[0].length).matchAll(OPTION)) {
    options[name as string] = (double ?? single ?? bare ?? "").replaceAll(/\\(.)/g, "$1");
  }
  return { module: (head[1] as string).split(".").at(-1) as string, options };
}
