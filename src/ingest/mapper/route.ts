/**
 * The route mapper: all mappings of a route that read one source topic, as one mapper over the broker's records.
 *
 * On the path: source -> ROUTE MAPPER (each mapping's own mapper) -> derive. Invariants: pure but for the instruments it
 * learns; every mapping sees every record, and each may make updates of it (a depth record with its trade); what the
 * mappings make depends on their definitions alone, of which `version` is a hash: a changed mapping is a new epoch.
 * At the limit: a record is malformed only if no mapping understood it, for the first reason given; one whose symbol is no
 * instrument of ours is skipped as unmatched.
 */
import { createHash } from "node:crypto";
import { parseChannelName, symbolOf } from "../../channel/name.ts";
import { type BrokerRecord, isBrokerRecord, type TopicPattern } from "../broker.ts";
import { reasonOf } from "./blame.ts";
import type { Learn, Malformed, MappedUpdate, Mapper, Skipped } from "./mapper.ts";
import type { MapperTools } from "./mod.ts";
import { FILTERED, Place, type PlaceTools, UNMATCHED } from "./place.ts";

/** Of a mapping what its mapper has to know (src/config/dynamic/types.ts). */
export interface RouteMapping {
  readonly mapper: string;
  readonly ws_topic: string;
}

export interface RouteTools extends PlaceTools {
  /** Of the source topic that all the mappings have. */
  readonly pattern: Pick<TopicPattern, "symbolOf">;
  /** Makes a mapper by its name: `createMapper`, with the declared ones. */
  readonly create: (name: string, tools: MapperTools) => Mapper;
}

type Mapped = ReturnType<Mapper["map"]>;

/** One mapper's part of a record; `text` is the record as UTF-8, made once for all. */
type Part = (record: BrokerRecord, text: () => string, symbol: string) => Mapped;

const UTF8 = new TextDecoder();
const EMPTY: Skipped = { skipped: "empty" };
const NOT_A_RECORD: Malformed = { malformed: "not a broker's record" };
const NAME_LENGTH_MAX = 100;

export function createRouteMapper(mappings: readonly RouteMapping[], tools: RouteTools): Mapper {
  const bindings = bindingsOf(mappings, tools);
  const verifier = bindings.find(({ mapper }) => mapper.checksumOf !== undefined)?.mapper;
  const parts = bindings.map((binding) => partOf(binding, tools, verifier));
  return {
    name: bindings
      .map(({ mapper }) => mapper.name)
      .join("+")
      .slice(0, NAME_LENGTH_MAX),
    version: versionOf(bindings),
    map(value) {
      if (!isBrokerRecord(value)) return NOT_A_RECORD;
      // A tombstone of a compacted Kafka topic.
      if (value.value.length === 0) return EMPTY;
      const symbol = tools.pattern.symbolOf(value.topic);
      return symbol === null ? UNMATCHED : mapWith(parts, value, symbol);
    },
    ...(verifier?.checksumOf === undefined ? {} : { checksumOf: verifier.checksumOf.bind(verifier) }),
  };
}

/** A mapper with the channels it feeds. */
interface Binding {
  readonly mapper: Mapper;
  readonly places: readonly Place[];
}

/** Our own mappers are made once for each channel; one that names its channels (a venue's) once for all its mappings. */
function bindingsOf(mappings: readonly RouteMapping[], tools: RouteTools): readonly Binding[] {
  const naming = new Map<string, Place[]>();
  const bindings: Binding[] = [];
  const learn = learningOf(tools);
  for (const { mapper: name, ws_topic } of mappings) {
    const place = new Place(ws_topic, tools);
    const shared = naming.get(name);
    if (shared !== undefined) {
      shared.push(place);
      continue;
    }
    const mapper = tools.create(name, { learn, place });
    const places = [place];
    if (mapper.placed !== true) naming.set(name, places);
    bindings.push({ mapper, places });
  }
  return bindings;
}

/** For mappers that name channels: what is listed is not added to, and a known symbol may be spelled otherwise. */
function learningOf({ registry, learn, listed }: RouteTools): Learn {
  return (market, spelling) => {
    const symbol = symbolOf(spelling);
    if (!listed(market) && registry.find(market, symbol) === null) return learn(market, spelling);
    return market === registry.defaultMarket ? symbol : `${market}:${symbol}`;
  };
}

function partOf({ mapper, places }: Binding, tools: RouteTools, verifier: Mapper | undefined): Part {
  const ask: Part =
    mapper.takes === "bytes"
      ? ({ value }, _, symbol) => mapper.map(value, symbol)
      : (_, text, symbol) => mapper.map(text(), symbol);
  const sort = mapper.placed === true ? null : new Sorting(places, tools);
  // A book does not say whose checksum it has: that of the first mapper is verified.
  const isUnverified = verifier !== undefined && mapper !== verifier;
  const interval = sort === null ? intervalOf(places[0]?.stream ?? "") : "";
  return (record, text, symbol) => {
    const mapped = ask(record, text, symbol);
    if ("malformed" in mapped || "skipped" in mapped) return mapped;
    if (sort !== null) return sort.sorted(isUnverified ? mapped.map(withoutChecksum) : mapped);
    return interval === "" ? mapped : ofInterval(mapped, interval);
  };
}

function mapWith(parts: readonly Part[], record: BrokerRecord, symbol: string): Mapped {
  let decoded: string | null = null;
  const text = (): string => {
    decoded ??= UTF8.decode(record.value);
    return decoded;
  };
  if (parts.length === 1) return (parts[0] as Part)(record, text, symbol);
  let updates: readonly MappedUpdate[] | null = null;
  let unmatched: Skipped | null = null;
  let malformed: Malformed | null = null;
  for (const part of parts) {
    const mapped = part(record, text, symbol);
    if ("malformed" in mapped) malformed = worse(malformed, mapped);
    else if ("skipped" in mapped) unmatched = mapped.skipped === "unmatched" ? mapped : unmatched;
    else updates = updates === null ? mapped : [...updates, ...mapped];
  }
  if (updates !== null) return updates;
  // A record of an unknown symbol was understood.
  return unmatched ?? malformed ?? FILTERED;
}

const worse = (first: Malformed | null, next: Malformed): Malformed =>
  first === null
    ? next
    : {
        malformed: first.malformed,
        suspect: first.suspect === true || next.suspect === true,
        why: () => [...new Set([reasonOf(first), reasonOf(next)])].join("; "),
      };

/** A venue's updates that mappings ask for. */
class Sorting {
  readonly #places: readonly Place[];
  readonly #tools: RouteTools;
  /** What was decided about a channel's name. */
  readonly #decided = new Map<string, "taken" | Skipped>();

  constructor(places: readonly Place[], tools: RouteTools) {
    this.#places = places;
    this.#tools = tools;
  }

  sorted(updates: readonly MappedUpdate[]): Mapped {
    let why: Skipped | null = null;
    const taken = updates.filter(({ channel }) => {
      const decision = this.#decided.get(channel) ?? this.#decide(channel);
      if (decision === "taken") return true;
      if (why?.skipped !== "unmatched") why = decision;
      return false;
    });
    return taken.length > 0 || why === null ? taken : why;
  }

  #decide(channel: string): "taken" | Skipped {
    const parsed = parseChannelName(channel, this.#tools.registry.defaultMarket);
    let decision: "taken" | Skipped = FILTERED;
    for (const place of this.#places) {
      if (parsed === null || place.stream !== parsed.stream || place.market !== parsed.market) continue;
      const found = place.channelOf(parsed.symbol, parsed.symbol, parsed.market);
      if (found === channel) decision = "taken";
      else if (decision === FILTERED) decision = typeof found === "object" && "skipped" in found ? found : UNMATCHED;
    }
    // An unknown symbol may become known.
    const isFinal = decision === "taken" || decision.skipped !== "unmatched";
    if (isFinal && this.#decided.size < DECIDED_MAX) this.#decided.set(channel, decision);
    return decision;
  }
}

const DECIDED_MAX = 100_000;

const withoutChecksum = (update: MappedUpdate): MappedUpdate => {
  const { checksum: _, ...rest } = update;
  return rest as MappedUpdate;
};

const CANDLES = "kline_";

/** The interval of a channel of candles; '' of any other. */
const intervalOf = (stream: string): string => (stream.startsWith(CANDLES) ? stream.slice(CANDLES.length) : "");

/** A topic may hold candles of several intervals, each with a mapping of its own. */
function ofInterval(updates: readonly MappedUpdate[], interval: string): Mapped {
  const taken = updates.filter(
    (update) => update.type !== "candles" || update.data.every((candle) => candle.interval === interval),
  );
  return taken.length === 0 && updates.length > 0 ? FILTERED : taken;
}

/** Of everything that decides what the mappings make, as a whole number. */
function versionOf(bindings: readonly Binding[]): number {
  const said = bindings.map(({ mapper, places }) => [mapper.name, mapper.version, places.map(({ topic }) => topic)]);
  return createHash("sha256").update(JSON.stringify(said)).digest().readUIntBE(0, 6);
}
