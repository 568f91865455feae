/** What a forwarder does with a link: small pieces go by the short way, and come to the same as by the long one. */
import { setImmediate } from "node:timers/promises";
import { expect, test, vi } from "vitest";
import type { Link } from "../../src/index.ts";
import { lend, sendNow, sendPiece } from "../../src/link/forwarding.ts";
import { LinkHandle } from "../../src/link/link.ts";
import { eventually, heard, pair, type Pair } from "../support.ts";

const { engineOf } = LinkHandle;

/** Both ends have sent and received, so nothing of the handshake is open. */
async function acquainted(): Promise<Pair & { received: Buffer[]; handle: (handler: Handler) => void }> {
  const both = await pair({ mode: "bytes" }, { mode: "bytes" });
  const { client, server } = both;
  const received: Buffer[] = [];
  let handler: Handler = (bytes) => void received.push(Buffer.from(bytes));
  lend(server, (bytes) => handler(bytes));
  client.trySend("hello");
  await eventually(() => expect(Buffer.concat(received).toString()).toBe("hello"));
  received.length = 0;
  await eventually(() => expect(client.writableLength).toBe(0));
  return { ...both, received, handle: (next) => void (handler = next) };
}

type Handler = (bytes: Buffer) => void | Promise<void>;

/** What the calls of a driver's short way have answered. */
function answersOf(link: Link, call: "passOn" | "writeNow"): () => boolean[] {
  const spy = vi.spyOn(engineOf(link).driver, call);
  return () => spy.mock.results.map(({ value }) => value as boolean);
}

/** Behind a head of four bytes. */
function say(link: Link, text: string): boolean {
  return sendPiece(link, 0x2d_2d_2d_3e, Buffer.from(`...${text}...`), 3, 3 + Buffer.byteLength(text));
}

test("a piece is written within the call, is handed on without a step, and is accepted", async () => {
  const { client, server, received } = await acquainted();
  const [written, passed] = [answersOf(client, "writeNow"), answersOf(server, "passOn")];
  const step = vi.spyOn(engineOf(server), "onProgress");
  expect(say(client, "one")).toBe(true);
  await eventually(() => expect(received.map(String)).toEqual(["--->one"]));
  expect([written(), passed(), step.mock.calls.length]).toEqual([[true], [true], 0]);
  await eventually(() => expect(client.writableLength).toBe(0));
  expect([client.stats().taken, server.stats().received]).toMatchObject([{ bytes: 12 }, { bytes: 12 }]);
});

test("pieces keep their order beside what goes the long way, in both directions", async () => {
  const { client, server, received, handle } = await acquainted();
  const sent: string[] = [];
  const echoed: Buffer[] = [];
  handle((bytes) => {
    received.push(Buffer.from(bytes));
    if (!sendPiece(server, bytes.length, bytes, 0, bytes.length))
      sendNow(server, Buffer.concat([length(bytes), bytes]));
  });
  lend(client, (bytes) => void echoed.push(Buffer.from(bytes)));
  const written = answersOf(client, "writeNow");
  for (let n = 0; n < 300; n++) {
    const text = `${n},`.repeat(1 + (n % 7) * (n % 5));
    if (n % 3 === 0) client.trySend(`--->${text}`);
    else if (!say(client, text)) sendNow(client, Buffer.from(`--->${text}`));
    sent.push(`--->${text}`);
    if (n % 4 === 0) await setImmediate();
  }
  await eventually(() => expect(Buffer.concat(received).toString()).toBe(sent.join("")));
  const answers = received.map((bytes) => Buffer.concat([length(bytes), bytes]));
  await eventually(() => expect(Buffer.concat(echoed)).toEqual(Buffer.concat(answers)));
  expect(written()).toContain(true);
});

function length(bytes: Buffer): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(bytes.length);
  return head;
}

test("a piece is not taken where others wait to be written, and behind the end", async () => {
  const { client } = await acquainted();
  client.trySend("first");
  expect(say(client, "second")).toBe(false);
  client.end();
  expect(say(client, "third")).toBe(false);
});

test("a handler that answers a promise is handed the next piece, and has accepted this one, when it is fulfilled", async () => {
  const { client, server, received, handle } = await acquainted();
  const first = Promise.withResolvers<void>();
  handle((bytes) => {
    received.push(Buffer.from(bytes));
    return received.length === 1 ? first.promise : undefined;
  });
  say(client, "one");
  await eventually(() => expect(received).toHaveLength(1));
  await eventually(() => expect(say(client, "two")).toBe(true));
  await eventually(() => expect(server.readableLength).toBe(7));
  expect([received.length, client.writableLength]).toEqual([1, 14]);
  first.resolve();
  await eventually(() => expect([received.map(String), client.writableLength]).toEqual([["--->one", "--->two"], 0]));
});

test.each<[how: string, handler: Handler]>([
  [
    "throws",
    () => {
      throw new Error("mine");
    },
  ],
  ["answers a promise that is rejected", () => Promise.reject(new Error("mine"))],
])("a handler that %s fails the link, and has not accepted the piece", async (_, handler) => {
  const { client, server, handle } = await acquainted();
  handle(handler);
  const failed = heard(server, "error");
  say(client, "one");
  expect(await failed).toMatchObject({ code: "HANDLER_FAILED", cause: { message: "mine" } });
  expect((await client.closed).undelivered.map(({ message }) => String(message))).toEqual(["--->one"]);
});

test("what a handler sends is written when it returns", async () => {
  const { client, server, handle } = await acquainted();
  handle(() => void server.trySend("answer"));
  const { driver, protocol } = engineOf(server);
  const passOn = driver.passOn.bind(driver);
  const queued: number[] = [];
  vi.spyOn(driver, "passOn").mockImplementation((id, chunk) => {
    const isPassed = passOn(id, chunk);
    if (isPassed) queued.push(protocol.queuedBytes);
    return isPassed;
  });
  say(client, "one");
  expect(String(await client.receive())).toBe("answer");
  expect(queued).toEqual([0]);
});

test("what a handler was handed is accepted, though the connection was lost while it ran", async () => {
  const { client, server, received, handle } = await acquainted();
  const { driver, protocol } = engineOf(server);
  handle((bytes) => {
    received.push(Buffer.from(bytes));
    if (received.length === 1) driver.drop(protocol.adopted?.id as number, "lost");
  });
  say(client, "one");
  await eventually(() => expect([received.map(String), client.writableLength]).toEqual([["--->one"], 0]));
});

test("a handler may end the link from within", async () => {
  const { client, server, handle } = await acquainted();
  handle(() => server.abort("enough"));
  say(client, "one");
  expect((await client.closed).error).toMatchObject({ code: "PEER_ABORTED", peerCode: "enough" });
  expect(await server.closed).toEqual({ undelivered: [] });
});
