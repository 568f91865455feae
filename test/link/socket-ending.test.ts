// How a link.socket() ends: 'finish' and destroy() as TCP has them, and its errors.
import { once } from "node:events";
import type net from "node:net";
import { finished } from "node:stream/promises";
import { describe, expect, test } from "vitest";
import { KiB } from "../../src/index.ts";
import { LET_GO_MS } from "../../src/link/closing.ts";
import type { LinkPair } from "../../src/testing/index.ts";
import { isPending, openTo, unusedPort } from "../support.ts";
import { paired } from "../testing/paired.ts";
import { buffer, told } from "./streams.ts";

const BYTES = { mode: "bytes" } as const;
const RESET = { code: "ECONNRESET", syscall: "read", cause: { code: "PEER_ABORTED" } };

interface Sockets extends LinkPair {
  near: net.Socket;
  far: net.Socket;
  /** What the far end has heard. */
  heard: string[];
}

function sockets(options: { allowHalfOpen?: boolean; queue?: { maxBytes: number } } = {}): Sockets {
  const both = paired({ client: { ...BYTES, ...options }, server: { ...BYTES, ...options } });
  const [near, far] = [both.client.socket(), both.server.socket()];
  const heard = told(far, "end", "error", "close");
  near.on("error", () => {});
  return Object.assign(both, { near, far, heard });
}

describe("'finish'", () => {
  test("does not wait for the peer, and a cut then takes nothing away", async () => {
    const { near, far, client, path, clock } = sockets();
    path.refuse();
    path.cut("rst");
    await clock.advance(0);
    near.end("said in time");
    await once(near, "finish");
    expect(client.writableLength).toBeGreaterThan(0);
    const read = buffer(far);
    path.heal();
    await clock.advance(5_000);
    expect(String(await read)).toBe("said in time");
  });

  test("both ends that have ended close in order", async () => {
    const { near, far, client, server, heard } = sockets();
    const closed = once(near, "close");
    far.resume();
    near.resume().end("one way");
    expect(await closed).toEqual([false]);
    expect([await client.closed, await server.closed]).toEqual([{ undelivered: [] }, { undelivered: [] }]);
    expect(heard).toEqual(["end", "close"]);
  });
});

describe("destroy()", () => {
  test.each<[string, (socket: net.Socket) => unknown]>([
    ["destroy()", (socket) => socket.destroy()],
    ["destroySoon()", (socket) => socket.destroySoon()],
    ["end() and destroy()", (socket) => socket.end(() => socket.destroy())],
  ])("%s leaves what the link has taken on its way, through a cut too", async (_, destroy) => {
    const { near, far, client, server, path, clock, heard } = sockets();
    path.refuse();
    path.cut("rst");
    await clock.advance(0);
    near.write("all there is");
    destroy(near);
    expect(await once(near, "close")).toEqual([false]);
    const read = buffer(far);
    path.heal();
    await clock.advance(5_000);
    expect(String(await read)).toBe("all there is");
    expect([await client.closed, await server.closed]).toEqual([{ undelivered: [] }, { undelivered: [] }]);
    expect(heard).toEqual(["end", "close"]);
  });

  test("nothing is read any more: a peer that goes on writing hears EPIPE", async () => {
    const { near, far, clock } = sockets({ allowHalfOpen: true });
    near.write("not read yet");
    near.destroy();
    await clock.advance(0);
    const failed = once(far, "error");
    far.write("too late");
    expect(await failed).toMatchObject([{ code: "EPIPE", syscall: "write", cause: { code: "LINK_ENDED" } }]);
  });

  test("closes a peer that is half open, once it has read everything", async () => {
    const { near, far, client, server, heard } = sockets({ allowHalfOpen: true });
    near.write("all there is");
    near.destroy();
    expect(String(await buffer(far))).toBe("all there is");
    expect([await client.closed, await server.closed]).toEqual([{ undelivered: [] }, { undelivered: [] }]);
    expect(heard).toEqual(["end", "close"]);
  });

  test("bytes that the link has not taken are not left out silently: the peer hears ECONNRESET", async () => {
    const { near, far, server } = sockets({ queue: { maxBytes: 64 * KiB } });
    near.write(Buffer.alloc(1_024 * KiB));
    near.end();
    near.destroy();
    far.resume();
    const [error] = (await once(far, "error")) as [Error];
    expect(error).toMatchObject(RESET);
    expect(error.cause).toBe((await server.closed).error);
  });

  test.each<[string, (socket: net.Socket) => unknown, string]>([
    ["an error", (socket) => socket.destroy(new Error("mine")), "stream-destroyed"],
    ["resetAndDestroy()", (socket) => socket.resetAndDestroy(), "socket-reset"],
  ])("%s aborts: the peer hears ECONNRESET with its cause, and no end", async (_, destroy, peerCode) => {
    const { near, far, server, client, heard } = sockets();
    near.write("a part");
    destroy(near);
    far.resume();
    await expect(finished(far)).rejects.toMatchObject(RESET);
    expect((await server.closed).error).toMatchObject({ code: "PEER_ABORTED", peerCode });
    expect((await client.closed).error).toBeUndefined();
    expect([near.destroyed, heard]).toEqual([true, ["error", "close"]]);
  });

  test("before the link was connected nothing that was written is sent, and the write fails", async () => {
    const link = openTo(await unusedPort(), BYTES);
    link.hold();
    const socket = link.socket();
    const written = new Promise((resolve) => void socket.write("never", resolve));
    socket.destroy();
    expect(await written).toMatchObject({ code: "LINK_ENDED" });
    expect(await link.closed).toEqual({ undelivered: [] });
  });

  test("a peer that never takes what was left on its way is given five minutes", async () => {
    const { near, client, clock } = sockets();
    near.write("for somebody who does not read");
    near.destroy();
    await clock.advance(LET_GO_MS - 1);
    expect([await isPending(client.closed), client.state]).toEqual([true, "draining"]);
    await clock.advance(1);
    const { error, cutOff, undelivered } = await client.closed;
    expect([error?.code, cutOff, undelivered.length]).toEqual(["CLOSE_TIMEOUT", "unaccepted", 1]);
  });

  test("close() of the link still has its own, shorter, deadline", async () => {
    const { near, client, clock } = sockets();
    near.write("for somebody who does not read");
    near.destroy();
    const closing = client.close({ deadlineMs: 100 });
    await clock.advance(100);
    expect((await closing).error).toMatchObject({ code: "CLOSE_TIMEOUT" });
  });
});

describe("the end of the link", () => {
  test("by abort() here closes the socket without an error, and no 'end'", async () => {
    const { far, server, heard } = sockets();
    const closed = once(far, "close");
    server.abort();
    expect(await closed).toEqual([false]);
    expect(heard).toEqual(["close"]);
  });

  test("what is written after the peer has aborted fails with the same code", async () => {
    const { near, client, server } = sockets();
    server.abort("why");
    const failed = once(near, "error");
    await client.closed;
    const written = new Promise((resolve) => void near.write("late", resolve));
    expect(await failed).toMatchObject([{ ...RESET, cause: { peerCode: "why" } }]);
    expect(await written).toBeInstanceOf(Error);
  });

  test("in order, with allowHalfOpen: the peer's end leaves our direction open", async () => {
    const { near, far, client } = sockets({ allowHalfOpen: true });
    near.end("question");
    expect(String(await buffer(far))).toBe("question");
    expect([far.readyState, near.readyState]).toEqual(["writeOnly", "readOnly"]);
    far.end("answer");
    expect(String(await buffer(near))).toBe("answer");
    expect(await client.closed).toEqual({ undelivered: [] });
  });
});
