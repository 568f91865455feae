import { expect, test } from "vitest";
import { Channel, type FrameTaker } from "../../../src/core/session/channel.ts";
import { fault } from "../../../src/core/wire/faults.ts";
import { encodeReady, encodeToken, type Frame } from "../../../src/core/wire/frames.ts";
import { decoded, EVERY_FRAME } from "../support.ts";

/** Keeps what it is given, and finds fault with READY. */
function keeping(seen: Array<[type: string, nowMs: number]>): FrameTaker {
  return {
    onFrame: (_, frame, nowMs) => {
      seen.push([frame.type, nowMs]);
      return frame.type === "ready" ? fault("bad-frame", "not now") : undefined;
    },
    onData: () => undefined,
  };
}

function drained(channel: Channel): Array<Frame | { type: "data" }> {
  const out: Buffer[] = [];
  channel.drainInto(out);
  return decoded(out);
}

test("frames are handed on with the time of their chunk, until the first fault: nothing is read after it", () => {
  const seen: Array<[type: string, nowMs: number]> = [];
  const channel = new Channel(1, EVERY_FRAME, 0);
  expect(channel.receive(encodeToken("ping", 1), keeping(seen), 5)).toBeUndefined();
  const chunk = Buffer.concat([encodeToken("ping", 2), encodeReady(), encodeToken("ping", 3)]);
  expect(channel.receive(chunk, keeping(seen), 6)).toEqual(fault("bad-frame", "not now"));
  channel.receive(encodeToken("ping", 4), keeping(seen), 7);
  expect(seen).toEqual([
    ["ping", 5],
    ["ping", 6],
    ["ready", 6],
  ]);
});

test("frames are written in their order, then the newest PONG and PING that are owed, each once", () => {
  const channel = new Channel(1, EVERY_FRAME, 0);
  expect(channel.hasFrames).toBe(false);
  channel.owePing(9);
  channel.owePong(1);
  channel.owePong(2);
  channel.send(encodeReady());
  expect(channel.hasFrames).toBe(true);
  expect(drained(channel)).toEqual([{ type: "ready" }, { type: "pong", token: 2 }, { type: "ping", token: 9 }]);
  expect(channel.hasFrames).toBe(false);
  expect(drained(channel)).toEqual([]);
});

test("a closed one reads nothing", () => {
  const seen: Array<[type: string, nowMs: number]> = [];
  const channel = new Channel(1, EVERY_FRAME, 0);
  channel.close();
  channel.receive(encodeToken("ping", 1), keeping(seen), 1);
  expect([channel.closed, seen]).toEqual([true, []]);
});
