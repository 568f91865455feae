/** A connection of which nothing more is read for now. */
import { expect, test } from "vitest";
import { FrameDecoder } from "../../../src/core/wire/decoder.ts";
import { frameMask } from "../../../src/core/wire/frame-rules.ts";
import { encodeReady, encodeToken, type Frame } from "../../../src/core/wire/frames.ts";

function holding() {
  const decoder = new FrameDecoder(frameMask("ping", "ready"));
  const frames: string[] = [];
  const sink = {
    onFrame: ({ type }: Frame): void => {
      frames.push(type);
      if (type === "ping") decoder.hold();
    },
    onData: (): void => {},
  };
  return { decoder, frames, push: (chunk: Buffer) => decoder.push(chunk, sink) };
}

const SAID = Buffer.concat([encodeToken("ping", 1), encodeReady(), encodeReady()]);

test("the bytes behind a frame are kept, wherever the chunks are split, and are taken later", () => {
  for (let at = 0; at <= SAID.length; at++) {
    const { decoder, frames, push } = holding();
    push(SAID.subarray(0, at));
    push(SAID.subarray(at));
    expect(frames).toEqual(["ping"]);
    const rest = decoder.release();
    expect(rest).toEqual(Buffer.concat([encodeReady(), encodeReady()]));
    push(rest);
    expect(frames).toEqual(["ping", "ready", "ready"]);
  }
});

test("at most 64 KiB are kept, and none after stop()", () => {
  const { decoder, push } = holding();
  push(encodeToken("ping", 1));
  expect(push(Buffer.alloc(65_536))).toBeUndefined();
  expect(push(Buffer.of(0))).toMatchObject({ code: "oversized" });
  expect(decoder.release()).toHaveLength(0);
  const another = holding();
  another.push(SAID);
  another.decoder.stop();
  expect(another.decoder.release()).toHaveLength(0);
});
