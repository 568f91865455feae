// Readers that wait for more than is here: frames of any size, and characters of several bytes.
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { Readable } from "node:stream";
import { expect, test } from "vitest";
import { KiB, MiB } from "../../src/index.ts";
import { eventually, isPending } from "../support.ts";
import { streams } from "./streams.ts";

/** As a reader of frames does it: nothing until `size` bytes are here. */
function readFrame(stream: Readable, size: number): Promise<Buffer> {
  return new Promise((resolve) => {
    const look = (): void => {
      const frame = stream.read(size) as Buffer | null;
      if (frame === null) return;
      stream.off("readable", look);
      resolve(frame);
    };
    stream.on("readable", look);
  });
}

test.each([100 * KiB, 256 * KiB, 300 * KiB, 1 * MiB, 12 * MiB])("frames of %i bytes", async (size) => {
  const { near, far } = await streams();
  const frames = [randomBytes(size), randomBytes(size)];
  for (const frame of frames) near.write(frame);
  near.end();
  for (const frame of frames) expect((await readFrame(far, size)).equals(frame)).toBe(true);
  await eventually(() => expect(near.writableFinished).toBe(true));
});

test("frames of 100 to 250 KiB, with a cut within each", async () => {
  const { near, far, relay } = await streams();
  for (const size of [100 * KiB, 150 * KiB, 200 * KiB, 250 * KiB]) {
    const frame = randomBytes(size);
    near.write(frame.subarray(0, size - 1_000));
    const read = readFrame(far, size);
    await eventually(() => expect(far.readableLength).toBeGreaterThan(60_000));
    relay.cut("rst");
    near.write(frame.subarray(size - 1_000));
    expect((await read).equals(frame)).toBe(true);
  }
});

test("a frame of which a part is here is accepted but for its last byte, and all of it when it was read", async () => {
  const { client, near, far } = await streams();
  const size = 400 * KiB;
  near.end(Buffer.alloc(size));
  const read = once(far, "readable").then(() => far.read(2 * size) as Buffer | null);
  expect(await read).toBeNull();
  await eventually(() => expect(client.writableLength).toBe(1));
  // The end is here, too, and is not accepted: the frame that was asked for will never come.
  expect(await isPending(client.flush(), 30)).toBe(true);
  expect((far.read() as Buffer).length).toBe(size);
  await eventually(() => expect(near.writableFinished).toBe(true));
});

test("a small read after a large one that waited: what is here and unread is not accepted again", async () => {
  const { client, near, far } = await streams();
  near.write("abc");
  await once(far, "readable");
  expect(far.read(10)).toBeNull();
  await eventually(() => expect(client.writableLength).toBe(1));
  expect(String(far.read(3))).toBe("abc");
  await client.flush();
  near.write("defg");
  await once(far, "readable");
  expect(String(far.read(1))).toBe("d");
  await eventually(() => expect(client.writableLength).toBe(3));
  expect(await isPending(client.flush(), 30)).toBe(true);
});

test("with an encoding, and a rest that stays in the stream, it goes on", async () => {
  const { near, far, relay } = await streams();
  far.setEncoding("utf8");
  const text = "größer €😀".repeat(60_000);
  near.end(text);
  let got = "";
  let wasCut = false;
  far.on("readable", () => {
    // Always leaves three, until the end.
    while (far.readableLength > 3) got += far.read(far.readableLength - 3) as string;
    if (wasCut || got.length < text.length / 2) return;
    wasCut = true;
    relay.cut("rst");
  });
  await eventually(() => expect(got.length + far.readableLength).toBe(text.length), 15_000);
  got += far.read() as string;
  expect(got === text).toBe(true);
});

test("with an encoding what was read is accepted, though a rest stays", async () => {
  const { client, near, far } = await streams();
  far.setEncoding("utf8");
  const bytes = 50 * KiB;
  far.on("readable", () => {});
  near.write(Buffer.alloc(bytes, "x"));
  await eventually(() => expect(far.readableLength).toBe(bytes));
  far.read(bytes - 10);
  await eventually(() => expect(client.writableLength).toBeLessThan(50));
  expect(await isPending(client.flush(), 30)).toBe(true);
  far.read(10);
  await client.flush();
});

test("a reader that takes nothing is not run ahead of, after a frame that was larger than the window", async () => {
  const { client, near, far } = await streams({ window: { minBytes: 64 * KiB, maxBytes: 64 * KiB } });
  near.write(Buffer.alloc(200 * KiB));
  await readFrame(far, 200 * KiB);
  // The stream's own buffer is as large as the largest frame that was asked for, and the window comes on top.
  for (let piece = 0; piece < 32; piece++) near.write(Buffer.alloc(64 * KiB));
  await eventually(() => expect(far.readableLength).toBeGreaterThanOrEqual(256 * KiB));
  expect(await isPending(client.flush(), 50)).toBe(true);
  expect(far.readableLength).toBeLessThanOrEqual(256 * KiB + 64 * KiB);
});
