/** The contract of src/bus/bus.ts itself. */
import { expect, test } from "bun:test";
import type { BusMessage, Head, StateRequest } from "../../src/bus/bus.ts";
import { GatewayError } from "../../src/lib/errors.ts";
import type { BusContractOptions, BusFixture } from "./bus.ts";
import { ScriptedOwner, topicOf } from "./bus-scripted.ts";

const TRADES = "btcusdt@trade";
const TOPIC = topicOf(TRADES);

const seqs = (messages: readonly BusMessage[]): number[] => messages.flatMap((m) => m.publications.map((p) => p.seq));

export function busBasics(fixture: () => BusFixture, options: BusContractOptions): void {
  test("bus - publications of a topic arrive in the order of the calls, whole, on every node", async () => {
    const [sender, near, far] = [await fixture().node(), await fixture().node(), await fixture().node()];
    const seen: BusMessage[][] = [[], [], []];
    sender.subscribe(TOPIC, (m) => seen[0]!.push(m));
    near.subscribe(TOPIC, (m) => seen[1]!.push(m));
    far.subscribe(TOPIC, (m) => seen[2]!.push(m));
    await fixture().settle();
    const owner = new ScriptedOwner({ bus: sender });
    const sent = Array.from({ length: 500 }, (_, i) => owner.publish(i % 3 === 0 ? "btcusdt@depth" : TRADES));
    await fixture().settle();
    for (const messages of seen) {
      expect(messages.flatMap((m) => m.publications)).toEqual(sent);
      for (const { version, shard, token, epoch } of messages) {
        expect({ version, shard, token, epoch }).toEqual(owner.header());
      }
    }
  });

  test("bus - text survives: quotes, line feeds, other scripts", async () => {
    const bus = await fixture().node();
    const seen: BusMessage[] = [];
    bus.subscribe(TOPIC, (m) => seen.push(m));
    await fixture().settle();
    const owner = new ScriptedOwner({ bus, epoch: 'k"7\n' });
    const p = { ...owner.make(TRADES), type: "value" as const, data: { json: '{"s":"\\"é漢\u{1f600}\\u0000"}' } };
    bus.publish(owner.header(), TOPIC, p);
    await fixture().settle();
    expect(seen.flatMap((m) => m.publications)).toEqual([p]);
    expect(seen[0]?.epoch).toBe('k"7\n');
  });

  test("bus - nobody hears a topic without asking for it, nor after closing", async () => {
    const [sender, receiver] = [await fixture().node(), await fixture().node()];
    const [mine, other]: BusMessage[][] = [[], []];
    const subscription = receiver.subscribe(TOPIC, (m) => mine!.push(m));
    receiver.subscribe(topicOf("ethusdt@trade"), (m) => other!.push(m));
    await fixture().settle();
    const owner = new ScriptedOwner({ bus: sender });
    const first = owner.publish(TRADES);
    await fixture().settle();
    subscription.close();
    subscription.close();
    await fixture().settle();
    owner.publish(TRADES);
    await fixture().settle();
    expect(seqs(mine!)).toEqual([first.seq]);
    expect(other).toEqual([]);
  });

  test("bus - two subscriptions of one topic are independent", async () => {
    const bus = await fixture().node();
    const [a, b]: BusMessage[][] = [[], []];
    const first = bus.subscribe(TOPIC, (m) => a!.push(m));
    bus.subscribe(TOPIC, (m) => b!.push(m));
    await fixture().settle();
    const owner = new ScriptedOwner({ bus });
    owner.publish(TRADES);
    await fixture().settle();
    first.close();
    owner.publish(TRADES);
    await fixture().settle();
    expect(seqs(a!)).toEqual([1000]);
    expect(seqs(b!)).toEqual([1000, 1001]);
  });

  test("bus - wanted is true while any node subscribes", async () => {
    const [sender, receiver] = [await fixture().node(), await fixture().node()];
    const knows = options.knowsInterest ?? true;
    expect(sender.wanted(TOPIC)).toBe(!knows);
    const subscription = receiver.subscribe(TOPIC, () => undefined);
    await fixture().settle();
    expect(sender.wanted(TOPIC)).toBe(true);
    expect(sender.wanted("fanout.other")).toBe(!knows);
    subscription.close();
    await fixture().settle();
    expect(sender.wanted(TOPIC)).toBe(!knows);
  });

  test("bus - every node hears every HEAD", async () => {
    const [sender, receiver] = [await fixture().node(), await fixture().node()];
    const [own, other]: Head[][] = [[], []];
    sender.heads((head) => own!.push(head));
    const subscription = receiver.heads((head) => other!.push(head));
    await fixture().settle();
    const owner = new ScriptedOwner({ bus: sender, provides: ["kline"] });
    owner.publish(TRADES);
    const heads = [owner.makeHead(true), owner.makeHead(false)];
    for (const head of heads) sender.head(head);
    await fixture().settle();
    expect(own).toEqual(heads);
    expect(other).toEqual(heads);
    expect(heads[0]?.last).toEqual([[TRADES, "", 1000]]);
    subscription.close();
    await fixture().settle();
    sender.head(heads[0]!);
    await fixture().settle();
    expect(other).toHaveLength(2);
  });

  test("bus - the owner that knows the channel answers, wherever it is", async () => {
    const [one, two, asker] = [await fixture().node(), await fixture().node(), await fixture().node()];
    const first = new ScriptedOwner({ bus: one, shard: "s1" });
    const second = new ScriptedOwner({ bus: two, shard: "s2" });
    first.publish(TRADES);
    second.publish("ethusdt@depth");
    second.publish("ethusdt@depth");
    await fixture().settle();
    const ask = (channel: string, since: StateRequest["since"] = null) => asker.request({ channel, user: "", since });
    expect(await ask(TRADES)).toEqual(first.answer({ channel: TRADES, user: "", since: null }));
    expect((await ask("ethusdt@depth"))?.state).toEqual({
      type: "snapshot",
      data: second.content("ethusdt@depth") as never,
    });
    const missing = await ask("ethusdt@depth", { epoch: "e1", seq: 1000 });
    expect(missing?.after?.map((p) => p.seq)).toEqual([1001]);
    expect(missing?.shard).toBe("s2");
  });

  test("bus - null if no owner knows the channel", async () => {
    const [one, asker] = [await fixture().node(), await fixture().node()];
    const owner = new ScriptedOwner({ bus: one });
    owner.head();
    await fixture().settle();
    expect(await asker.request({ channel: "foo@bar", user: "", since: null })).toBeNull();
  });

  test("bus - a request is answered later, never inside the call", async () => {
    const bus = await fixture().node();
    let asked = 0;
    bus.serve("s1", () => {
      asked++;
      return null;
    });
    await fixture().settle();
    const reply = bus.request({ channel: TRADES, user: "", since: null });
    expect(asked).toBe(0);
    await reply;
    expect(asked).toBe(1);
  });

  test("bus - a request that no owner answers is rejected with a GatewayError", async () => {
    const [one, asker] = [await fixture().node(), await fixture().node()];
    const owner = new ScriptedOwner({ bus: one });
    owner.publish(TRADES);
    owner.stopServing();
    await fixture().settle();
    const started = performance.now();
    const error = await asker.request({ channel: TRADES, user: "", since: null }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(GatewayError);
    expect((error as GatewayError).code).toBe("BUS_NO_ANSWER");
    expect(performance.now() - started).toBeLessThan(options.rejectMs ?? 3000);
  });

  test("bus - a closed node hears nothing, answers nothing, and its requests are rejected", async () => {
    const [sender, receiver] = [await fixture().node(), await fixture().node()];
    const seen: unknown[] = [];
    receiver.subscribe(TOPIC, (m) => seen.push(m));
    receiver.heads((head) => seen.push(head));
    const answers = new ScriptedOwner({ bus: receiver, shard: "s2", known: ["ethusdt@trade"] });
    await fixture().settle();
    const pending = receiver.request({ channel: "ethusdt@trade", user: "", since: null });
    await Promise.all([receiver.close(), pending.catch(() => null)]);
    const owner = new ScriptedOwner({ bus: sender });
    owner.publish(TRADES);
    owner.head();
    await fixture().settle();
    expect(seen).toEqual([]);
    expect(await sender.request({ channel: "ethusdt@trade", user: "", since: null })).toBeNull();
    expect(answers.lastOf("ethusdt@trade")).toBeNull();
    const error = await receiver.request({ channel: TRADES, user: "", since: null }).catch((e: unknown) => e);
    expect((error as GatewayError).code).toBe("BUS_CLOSED");
    await receiver.close();
  });
}
