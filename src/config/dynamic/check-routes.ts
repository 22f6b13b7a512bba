/**
 * Checks of routes: what they refer to, their topics and templates, and that no channel has two sources.
 */
import { subjectOf } from "../../bus/subject.ts";
import { streamKind, topicKind } from "../../channel/kinds.ts";
import { parseChannelName, symbolOf } from "../../channel/name.ts";
import { canonicalTopic } from "../../channel/topic-settings.ts";
import type { Kind } from "../../channel/types.ts";
import { GatewayError } from "../../lib/errors.ts";
import type { JsonPath } from "../../lib/json-scan.ts";
import { type Mistakes, pathText } from "./mistakes.ts";
import { entriesOf, namesOf, type Raw, spellingOf, textOf } from "./raw.ts";
import { holdsSymbol, isTwice, SYMBOL, wantedSourceTopic } from "./source-topic.ts";
import { BROKER_TYPES, type BrokerType, type DynamicContext } from "./types.ts";

/** What a route may refer to. */
interface Known {
  readonly defaultMarket: string;
  readonly sources: readonly string[];
  /** By name, as far as it is known. */
  readonly types: ReadonlyMap<string, BrokerType>;
  /** Names of mappers, and what they make; null: several kinds, or not known. */
  readonly mappers: ReadonlyMap<string, Kind | null>;
  /** Symbols of `instruments` by market. */
  readonly symbols: ReadonlyMap<string, ReadonlySet<string>>;
}

export function checkRoutes(document: Raw, context: DynamicContext, mistakes: Mistakes, warnings: Mistakes): void {
  const known = knownOf(document, context);
  const feeding = new Feeding(known.defaultMarket, mistakes, warnings);
  for (const { index, entry } of entriesOf(document, "routes")) {
    const at = ["routes", index];
    const source = textOf(entry, "data_source");
    if (source !== null && !known.sources.includes(source)) {
      mistakes.unknown([...at, "data_source"], "data source", source, known.sources);
    }
    const type = source === null ? null : (known.types.get(source) ?? null);
    for (const mapping of entriesOf(entry, "mappings")) {
      const path = [...at, "mappings", mapping.index];
      checkMapping(mapping.entry, path, type, known, mistakes);
      checkWsTopic(mapping.entry, path, known, mistakes, warnings);
      feeding.add(mapping.entry, path, index);
    }
  }
  feeding.compare();
}

function knownOf(document: Raw, { defaultMarket, mappers }: DynamicContext): Known {
  const types = new Map<string, BrokerType>();
  for (const { entry } of entriesOf(document, "datasource")) {
    const type = BROKER_TYPES.find((one) => one === entry.type);
    const name = textOf(entry, "name");
    if (type !== undefined && name !== null) types.set(name, type);
  }
  const kinds = new Map<string, Kind | null>(mappers.map(({ name, kind }) => [name, kind]));
  for (const { entry } of entriesOf(document, "mappers")) {
    const name = textOf(entry, "name");
    // A wrong kind is told where it stands.
    if (name !== null) kinds.set(name, textOf(entry, "kind") as Kind | null);
  }
  const symbols = new Map<string, Set<string>>();
  for (const { entry } of entriesOf(document, "instruments")) {
    const market = textOf(entry, "market") ?? defaultMarket;
    const ofMarket = symbols.get(market) ?? new Set();
    symbols.set(market, ofMarket.add(symbolOf(spellingOf(entry) ?? "")));
  }
  return { defaultMarket, sources: namesOf(document, "datasource", "name"), types, mappers: kinds, symbols };
}

function checkMapping(mapping: Raw, path: JsonPath, type: BrokerType | null, known: Known, mistakes: Mistakes): void {
  const mapper = textOf(mapping, "mapper");
  if (mapper !== null && !known.mappers.has(mapper)) {
    mistakes.unknown([...path, "mapper"], "mapper", mapper, [...known.mappers.keys()]);
  }
  const fanout = textOf(mapping, "fanout_topic");
  const source = textOf(mapping, "source_topic");
  const channel = textOf(mapping, "ws_topic");
  if (fanout !== null) {
    const wanted = wantedFanout(fanout, channel);
    if (wanted !== null) mistakes.wrong([...path, "fanout_topic"], fanout, wanted);
  }
  const read = source ?? fanout;
  if (read === null || type === null) return;
  const field = source === null ? "fanout_topic" : "source_topic";
  const wanted = wantedSourceTopic(type, read);
  const also = source === null ? ", because without a source_topic it is also what is read" : "";
  if (wanted !== null) mistakes.wrong([...path, field], read, wanted + also);
  else if (source !== null && holdsSymbol(source) && channel !== null && !holdsSymbol(channel)) {
    mistakes.wrong([...path, field], source, `no {symbol}, because all of it would feed the one channel ${channel}`);
  }
}

/** What the topic on the bus should be instead; null if it can be. */
function wantedFanout(topic: string, channel: string | null): string | null {
  if (isTwice(topic)) return "{symbol} at most once";
  if (topic.split(".", 1)[0] === "tg")
    return 'a topic that does not begin with "tg.", which the bus puts before it itself';
  if (holdsSymbol(topic) && channel !== null && !holdsSymbol(channel)) {
    return `no {symbol}, because the channel ${channel} has none that could stand for it`;
  }
  try {
    subjectOf("x", topic.replace(SYMBOL, "x"));
    return null;
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    return "words joined by dots, without blanks, * and >";
  }
}

function checkWsTopic(mapping: Raw, path: JsonPath, known: Known, mistakes: Mistakes, warnings: Mistakes): void {
  const channel = textOf(mapping, "ws_topic");
  const mapper = textOf(mapping, "mapper");
  if (channel === null) return;
  const at = [...path, "ws_topic"];
  const parsed = isTwice(channel) ? null : parseChannelName(channel.replace(SYMBOL, "x"), known.defaultMarket);
  if (parsed === null || (parsed.symbol !== "x" && holdsSymbol(channel))) {
    mistakes.wrong(
      at,
      channel,
      "a channel name such as btcusdt@trade, {symbol}@trade, usdm:{symbol}@markPrice or balance",
    );
    return;
  }
  const { market, symbol, stream } = parsed;
  const { kind } = symbol === "" ? topicKind(stream) : streamKind(stream);
  const makes = mapper === null ? null : (known.mappers.get(mapper) ?? null);
  // What has no kind of its own takes that of what comes.
  const isFree = kind === "json" && (makes === "private" || makes === "json");
  if (makes !== null && makes !== kind && !isFree) {
    mistakes.wrong(
      at,
      channel,
      `a channel of ${makes}, which is what the mapper ${mapper} makes; this one is of ${kind}`,
    );
  }
  const listed = known.symbols.get(market);
  if (!holdsSymbol(channel) && symbol !== "" && listed !== undefined && !listed.has(symbol)) {
    warnings.add(at, `${market}:${symbol} is not among the instruments, it will be learned`);
  }
}

interface Feed {
  readonly channel: string;
  readonly path: JsonPath;
  /** Mappings of one route over the same source topic are one input. */
  readonly input: string;
}

/** Finds channels with more than one source. */
class Feeding {
  readonly #defaultMarket: string;
  readonly #mistakes: Mistakes;
  readonly #warnings: Mistakes;
  readonly #exact = new Map<string, Feed>();
  readonly #templates = new Map<string, Feed>();

  constructor(defaultMarket: string, mistakes: Mistakes, warnings: Mistakes) {
    this.#defaultMarket = defaultMarket;
    this.#mistakes = mistakes;
    this.#warnings = warnings;
  }

  add(mapping: Raw, path: JsonPath, route: number): void {
    const named = textOf(mapping, "ws_topic");
    if (named === null) return;
    const channel = canonicalTopic(named, this.#defaultMarket);
    const topic = textOf(mapping, "source_topic") ?? textOf(mapping, "fanout_topic") ?? "";
    const feed = { channel, path, input: `${route} ${topic}` };
    const feeds = holdsSymbol(channel) ? this.#templates : this.#exact;
    const before = feeds.get(channel);
    if (before === undefined) feeds.set(channel, feed);
    else if (before.input !== feed.input) {
      const other = pathText(before.path);
      this.#mistakes.add([...path, "ws_topic"], `${JSON.stringify(named)} is fed by ${other} already, from elsewhere`);
    }
  }

  /** A name written out beside a template that covers it: whose record comes first owns the channel. */
  compare(): void {
    for (const { channel, path, input } of this.#exact.values()) {
      const parsed = parseChannelName(channel, this.#defaultMarket);
      if (parsed === null || parsed.symbol === "") continue;
      const template = this.#templates.get(
        `${channel.slice(0, channel.lastIndexOf(parsed.symbol, channel.indexOf("@") - 1))}${SYMBOL}@${parsed.stream}`,
      );
      if (template === undefined || template.input === input) continue;
      const other = pathText(template.path);
      this.#warnings.add(
        [...path, "ws_topic"],
        `${channel} may come from ${other} too: whose record comes first feeds it`,
      );
    }
  }
}
