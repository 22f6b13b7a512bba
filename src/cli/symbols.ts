/** The symbols a node lists, for hints to people. */

/** In lower case as channel names have them; none if the node does not say so within a second. */
export async function symbolsOf(httpUrl: string): Promise<string[]> {
  try {
    const answer = await fetch(`${httpUrl}/api/v3/exchangeInfo`, { signal: AbortSignal.timeout(1000) });
    const { symbols } = (await answer.json()) as { symbols?: readonly { readonly symbol?: unknown }[] };
    return (symbols ?? []).map(({ symbol }) => String(symbol).toLowerCase());
  } catch (error) {
    // A hint only: a node without this endpoint, or one that answers something else, gets none.
    if (error instanceof Error) return [];
    throw error;
  }
}
