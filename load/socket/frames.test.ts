import { expect, test } from "bun:test";
import { clientFrame, closeFrame, FrameReader, OPCODE, textFrame } from "./frames.ts";

/** A server's frame: not masked. */
function serverFrame(first: number, payload: string | Uint8Array, length64 = false): Buffer {
  const bytes = Buffer.from(payload);
  const { length } = bytes;
  let head = Buffer.from([first, length]);
  if (length64) {
    head = Buffer.alloc(10);
    head.writeUInt32BE(length, 6);
    head.set([first, 127]);
  } else if (length > 125) {
    head = Buffer.alloc(4);
    head.writeUInt16BE(length, 2);
    head.set([first, 126]);
  }
  return Buffer.concat([head, bytes]);
}
const text = (payload: string, length64 = false): Buffer => serverFrame(0x81, payload, length64);

/** What a reader makes of the bytes, given in pieces of `piece`. */
function readAll(bytes: Buffer, piece = bytes.length): string[] {
  const came: string[] = [];
  const reader = new FrameReader();
  const sink = {
    text: (from: Buffer, start: number, end: number) => void came.push(`text ${from.toString("utf8", start, end)}`),
    ping: (payload: Buffer) => void came.push(`ping ${payload}`),
    pong: () => void came.push("pong"),
    goodbye: (code: number, reason: string) => void came.push(`close ${code} ${reason}`),
    fault: (sentence: string) => void came.push(`fault: ${sentence}`),
  };
  // As Bun does it: every read is a buffer of its own that may be reused afterwards.
  for (let at = 0; at < bytes.length; at += piece) {
    const chunk = Buffer.from(bytes.subarray(at, at + piece));
    reader.read(chunk, sink);
    chunk.fill(0);
  }
  return came;
}

const long = (length: number): string => "äx".repeat(length).slice(0, length);

test("load frames - lengths of 7, 16 and 64 bits, whole and in pieces of every size", () => {
  const messages = ["", "short", "y".repeat(125), "z".repeat(126), long(300), "w".repeat(65_536)];
  const stream = Buffer.concat([...messages.map((message) => text(message, message.length > 65_535)), text("end")]);
  const want = [...messages, "end"].map((message) => `text ${message}`);
  for (const piece of [stream.length, 1, 2, 3, 7, 64, 1000, 65_000]) expect(readAll(stream, piece)).toEqual(want);
});

test("load frames - a message in parts is one message, control frames may stand between", () => {
  const stream = Buffer.concat([
    serverFrame(0x01, "one "),
    serverFrame(0x89, "p"),
    serverFrame(0x00, "two "),
    serverFrame(0x80, "three"),
    text("next"),
  ]);
  for (const piece of [stream.length, 1, 5])
    expect(readAll(stream, piece)).toEqual(["ping p", "text one two three", "text next"]);
});

test("load frames - close codes and reasons; nothing is read behind a close", () => {
  const close = (code: number, reason = ""): Buffer => {
    const payload = Buffer.concat([Buffer.alloc(2), Buffer.from(reason)]);
    payload.writeUInt16BE(code, 0);
    return serverFrame(0x88, payload);
  };
  expect(readAll(Buffer.concat([close(4008, "too slow"), text("late")]))).toEqual(["close 4008 too slow"]);
  expect(readAll(serverFrame(0x88, ""))).toEqual(["close 1005 "]);
  expect(readAll(serverFrame(0x88, "x"))).toEqual(["fault: a close frame with half a code"]);
  expect(readAll(close(1005))).toEqual(["fault: a close frame with code 1005"]);
  expect(readAll(close(999))).toEqual(["fault: a close frame with code 999"]);
});

test("load frames - what a server must not send is a fault and ends the reading", () => {
  const faults: readonly (readonly [Buffer, string])[] = [
    [serverFrame(0xc1, "x"), "a frame with reserved bits set"],
    [clientFrame(OPCODE.text, Buffer.from("x")), "a masked frame"],
    [serverFrame(0x82, "x"), "a binary frame"],
    [serverFrame(0x83, "x"), "a frame with opcode 3"],
    [serverFrame(0x8b, "x"), "a frame with opcode 11"],
    [serverFrame(0x09, "x"), "a control frame in parts"],
    [serverFrame(0x89, "x".repeat(126)), "a control frame of 126 bytes"],
    [serverFrame(0x80, "x"), "a continuation of nothing"],
    [Buffer.concat([serverFrame(0x01, "x"), text("y")]), "a new message inside another one"],
    [Buffer.from([0x81, 127, 0, 0, 1, 0, 0, 0, 0, 0]), "a frame of 1099511627776 bytes"],
  ];
  for (const [bytes, sentence] of faults)
    expect(readAll(Buffer.concat([bytes, text("late")]))).toEqual([`fault: ${sentence}`]);
});

test("load frames - what a client sends is masked and says what it should", () => {
  for (const length of [0, 5, 125, 126, 65_535, 65_536]) {
    const frame = textFrame("q".repeat(length));
    expect(frame[0]).toBe(0x81);
    expect(frame[1]! & 0x80).toBe(0x80);
    const mask = length < 126 ? 2 : length < 65_536 ? 4 : 10;
    const payload = frame.subarray(mask + 4).map((byte, at) => byte ^ frame[mask + (at & 3)]!);
    expect(Buffer.from(payload).toString()).toBe("q".repeat(length));
  }
  const bye = closeFrame(1002);
  expect([bye[0], bye[1]]).toEqual([0x88, 0x82]);
  expect(((bye[6]! ^ bye[2]!) << 8) | (bye[7]! ^ bye[3]!)).toBe(1002);
});
