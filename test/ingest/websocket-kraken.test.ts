import { expect, test } from "bun:test";
import { waitFor } from "../lib/wait.ts";
import { selfSigned } from "../venue/certificate.ts";
import { krakenV1Speech } from "../venue/kraken-v1-speech.ts";
import { VenueServer } from "../venue/venue-server.ts";
import { framesOf } from "./recordings.ts";
import { settled, startUpstream } from "./upstream-rig.ts";

const recorded = framesOf("KRAKEN.ws.50.0");
const script = (recorded ?? []).filter((frame) => frame.startsWith("["));
const symbols = [...new Set(script.map((frame) => krakenV1Speech.read(frame)?.symbol ?? ""))].filter(
  (one) => one !== "",
);

for (const certificate of [undefined, selfSigned()]) {
  const over = certificate === undefined ? "ws" : "wss";
  test.skipIf(recorded === null)(`kraken v1 over ${over} - ends in the venue's books`, async () => {
    await using venue = await VenueServer.start({
      speech: krakenV1Speech,
      script,
      ...(certificate && { certificate }),
    });
    const tls = certificate && { ca: certificate.cert };
    await using rig = await startUpstream({ venue: "kraken-v1", symbols, url: venue.socket.ws, ...(tls && { tls }) });
    await waitFor(() => symbols.every((symbol) => venue.follows(symbol)), "every book is subscribed");
    while (!venue.ended) {
      venue.play(500);
      await Bun.sleep(1);
    }
    await settled(rig, venue);
    expect(rig.shards[0]?.status()).toMatchObject({ malformed: {}, refused: {}, resyncs: {} });
    expect(venue.symbols.length).toBe(10);
  });
}
