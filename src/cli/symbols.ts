/** The symbols a node lists, for hints to people. */

const MARKETS = [
  { path: "/api/v3/exchangeInfo", prefix: "" },
  { path: "/fapi/v1/exchangeInfo", prefix: "usdm:" },
];

type Tls = Pick<Bun.TLSOptions, "ca"> & { readonly rejectUnauthorized?: boolean };

/** As channel names begin (`btcusdt`, `usdm:btcusdt`); none if the node does not say so within a second. */
export async function symbolsOf(httpUrl: string, tls: Tls = {}): Promise<string[]> {
  const lists = await Promise.all(MARKETS.map(({ path, prefix }) => listed(`${httpUrl}${path}`, prefix, tls)));
  return lists.flat();
}

async function listed(url: string, prefix: string, tls: Tls): Promise<string[]> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(1000), tls });
    const { symbols } = (await answer.json()) as { symbols?: readonly { readonly symbol?: unknown }[] };
    return (symbols ?? []).map(({ symbol }) => prefix + String(symbol).toLowerCase());
  } catch (error) {
    // A hint only: a node without this endpoint, or one that answers something else, gets none.
    if (error instanceof Error) return [];
    throw error;
  }
}
