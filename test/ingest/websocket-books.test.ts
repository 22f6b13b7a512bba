import { expect, test } from "bun:test";
import { waitFor } from "../lib/wait.ts";
import { selfSigned } from "../venue/certificate.ts";
import { VenueServer } from "../venue/venue-server.ts";
import { SCRIPTS } from "./scripts.ts";
import { settled, startUpstream } from "./upstream-rig.ts";

for (const { name, venue: venueName, symbols, options } of SCRIPTS) {
  test(`upstream ${name} over ws and wss - ends in the venue's books, level by level`, async () => {
    for (const certificate of [null, selfSigned()]) {
      await using venue = await VenueServer.start(certificate === null ? options : { ...options, certificate });
      const tls = certificate === null ? {} : { tls: { ca: certificate.cert } };
      const { ws: url, http: rest } = venue.socket;
      await using rig = await startUpstream({ venue: venueName, symbols, url, rest, ...tls });
      await waitFor(() => symbols.every((symbol) => venue.follows(symbol)), "every book is subscribed");
      while (!venue.ended) {
        venue.play(700);
        await Bun.sleep(1);
      }
      await settled(rig, venue);
      for (const shard of rig.shards) {
        const { malformed, refused, resyncs, partialBooks, merged } = shard.status();
        const nothing = { malformed: {}, refused: {}, resyncs: {}, partialBooks: 0, merged: 0 };
        expect({ malformed, refused, resyncs, partialBooks, merged }).toEqual(nothing);
      }
      expect(rig.warnings).toEqual([]);
    }
  });
}
