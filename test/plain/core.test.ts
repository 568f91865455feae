/** The core of a plain link, driven by hand: what is written when, and what is said of it afterwards. */
import { describe, expect, test } from "vitest";
import { CLOSED_BY_PEER } from "../../src/core/session/link-events.ts";
import { lines } from "../../src/plain/lines.ts";
import { Hand, LINES } from "./support.ts";

describe("one write at a time", () => {
  test("nothing more is written until the kernel has it, and what was not written is not sent", () => {
    const hand = new Hand();
    hand.connect();
    hand.send("one", "two");
    expect(hand.write()).toBe("one\ntwo\n");
    hand.send("three");
    expect(hand.write()).toBe("");
    hand.cut();
    expect(hand.reported()).toEqual(["one maybe", "two maybe"]);
    expect([hand.core.queuedMessages, hand.core.wantsDial, hand.core.ended]).toEqual([1, true, false]);
    hand.connect();
    expect(hand.write()).toBe("three\n");
  });

  test("small messages are gathered into one buffer, and whole messages fill the room", () => {
    const hand = new Hand();
    hand.connect();
    hand.send("1111", "2222", "3333");
    expect(hand.core.transmit(hand.id, 8, 0).map(String)).toEqual(["1111\n"]);
    hand.written();
    expect(hand.core.transmit(hand.id, 10, 0).map(String)).toEqual(["2222\n3333\n"]);
  });

  test("a message that does not fit into the room is written all the same", () => {
    const hand = new Hand();
    hand.connect();
    hand.send("1111");
    expect(hand.write(1)).toBe("1111\n");
  });

  test("a large message is written in parts, and one that was begun is in doubt", () => {
    const hand = new Hand();
    hand.connect();
    const large = "x".repeat(50_000);
    hand.send(large, "after");
    expect(hand.write(20_000)).toHaveLength(20_000);
    expect(hand.write(20_000)).toBe("");
    hand.written();
    expect(hand.write(20_000)).toHaveLength(20_000);
    hand.written();
    hand.cut();
    expect(hand.reported()).toEqual([`${large} maybe`]);
    hand.connect();
    expect(hand.flush()).toBe("after\n");
  });

  test("a large message that is given is neither copied nor changed", () => {
    const hand = new Hand();
    hand.connect();
    const given = Buffer.alloc(20_000, "g");
    hand.core.take(given, given.length, true, "taken");
    const [first] = hand.core.transmit(hand.id, 100_000, 0);
    expect(first?.buffer).toBe(given.buffer);
  });

  test("a message that is no bytes on the wire is written at once", () => {
    const framing = { ...LINES, encode: (message: Buffer) => (message.length > 3 ? [] : [message]) };
    const hand = new Hand({ framing });
    hand.connect();
    hand.send("", "x".repeat(20_000));
    expect(hand.core.transmit(hand.id, 100, 0).join("")).toBe("");
    hand.send("abc");
    expect(hand.write()).toBe("abc");
  });

  test("a message that cannot be framed is not taken", () => {
    const hand = new Hand();
    hand.send("one");
    expect(() => hand.send("unframed")).toThrow("cannot be framed: RangeError: unframed");
    hand.send("two");
    hand.connect();
    expect(hand.flush()).toBe("one\ntwo\n");
    expect(hand.core.takenBytes).toBe(6);
  });

  test("a message is copied when it is taken, also where the framing makes other bytes of it", () => {
    const hand = new Hand({ framing: { ...LINES, encode: (message) => Buffer.concat([message, Buffer.from("\n")]) } });
    const bytes = Buffer.from("first");
    hand.core.take(bytes, 5, false, "taken");
    bytes.fill("x");
    hand.send("text");
    hand.connect();
    expect(hand.flush()).toBe("first\ntext\n");
    hand.cut();
    expect(hand.reported()).toEqual(["first maybe", "text maybe"]);
  });

  test.each([
    ["nothing", () => undefined],
    ["a text", () => "text"],
    ["a text among bytes", (message: Buffer) => [message, "text"]],
  ])("a framing that gives %s has failed", (_, encode) => {
    const hand = new Hand({ framing: { ...LINES, encode: encode as unknown as typeof LINES.encode } });
    expect(() => hand.send("one")).toThrow("cannot be framed");
    expect(() => hand.send("x".repeat(20_000))).toThrow("cannot be framed");
    expect(hand.core.queuedMessages).toBe(0);
  });
});

describe("what is in doubt", () => {
  test("without answers only the last `inDoubtBytes` are kept, and the others are counted", () => {
    const hand = new Hand({ inDoubtBytes: 220 });
    hand.connect();
    hand.send("0123456789", "b", "c", "d");
    hand.flush();
    hand.cut();
    expect(hand.reported()).toEqual(["c maybe", "d maybe"]);
    expect(hand.last("connection-lost")?.untracked).toEqual({ messages: 2, bytes: 11 });
    hand.connect();
    hand.cut();
    expect(hand.all("connection-lost")).toHaveLength(1);
  });

  test("it is not held on the memory account", () => {
    const hand = new Hand();
    hand.connect();
    hand.send("one");
    expect(hand.core.unackedBytes).toBe(3);
    hand.flush();
    expect([hand.core.unackedBytes, hand.core.queuedBytes]).toEqual([0, 0]);
  });

  test("with `resendInFlight` it is sent again, in order, before what is newer", () => {
    const hand = new Hand({ resendInFlight: true });
    hand.connect();
    hand.send("one");
    hand.flush();
    hand.send("two");
    hand.write();
    hand.send("three");
    hand.cut();
    expect(hand.all("connection-lost")).toEqual([]);
    expect([hand.core.queuedMessages, hand.core.queuedBytes]).toEqual([3, 11]);
    hand.connect();
    expect(hand.write()).toBe("one\ntwo\nthree\n");
    hand.cut();
    hand.core.abandon("gave-up");
    expect(hand.reported("ended")).toEqual(["one maybe", "two maybe", "three maybe"]);
  });

  test("a message that was sent again and then was not is still in doubt", () => {
    const hand = new Hand({ resendInFlight: true });
    hand.connect();
    hand.send("one");
    hand.flush();
    hand.cut();
    hand.send("two");
    hand.core.endUnreachable();
    expect(hand.reported("ended")).toEqual(["one maybe", "two not-sent"]);
  });

  test("flush() waits for the kernel, and fails with a message in doubt", () => {
    const hand = new Hand();
    hand.connect();
    hand.send("one");
    const first = hand.core.ticket("everything");
    hand.write();
    expect(hand.core.takeDelivered()).toEqual([]);
    hand.written();
    expect(hand.core.takeDelivered()).toEqual([first]);
    hand.send("two");
    hand.write();
    hand.send("three");
    const second = hand.core.ticket("everything");
    hand.cut();
    expect(hand.last("connection-lost")).toMatchObject({ lost: [{ ticket: second, delivery: "maybe" }] });
  });

  test("flush() of what only waits goes on waiting", () => {
    const hand = new Hand();
    hand.connect();
    hand.send("one");
    hand.flush();
    hand.send("two");
    const ticket = hand.core.ticket("everything");
    hand.connect();
    expect(hand.core.adopted?.id).toBe(1);
    hand.core.connectionClosed(1, "ECONNRESET", 0);
    // "one" was taken before, and is in doubt.
    expect(hand.last("connection-lost")?.lost).toMatchObject([{ ticket, delivery: "maybe" }]);
    hand.send("three");
    const next = hand.core.ticket("everything");
    hand.connect();
    hand.cut();
    expect(hand.all("connection-lost")).toHaveLength(1);
    hand.connect();
    hand.flush();
    expect(hand.core.takeDelivered()).toEqual([next]);
  });
});

describe("what arrives", () => {
  test("it waits for the consumer, also beyond its connection", () => {
    const hand = new Hand();
    hand.connect();
    hand.hear("one\n\ntw");
    hand.hear("o\n");
    hand.cut();
    expect(hand.read()).toEqual(["one", "", "two"]);
    expect(hand.core.unacceptedBytes).toBe(0);
  });

  test("messages of several chunks in one turn: each keeps no more memory than it needs", () => {
    const hand = new Hand({ framing: lines(), windowBytes: 200_000 });
    hand.connect();
    // Of the chunk in the middle a byte is kept: the rest of it is a part of the next message, which has its own memory.
    const large = "1".repeat(50_000);
    for (const chunk of [`${large}\n`, `2\n${"3".repeat(9_000)}`, `\n${large}\n`]) hand.hear(chunk);
    const messages: Buffer[] = [];
    for (let m = hand.core.next(() => {}); m !== undefined; m = hand.core.next(() => {})) messages.push(m);
    expect(messages.map((message) => String(message)[0])).toEqual(["1", "2", "3", "1"]);
    expect(messages[1]?.buffer.byteLength).toBeLessThan(9_000);
  });

  test("a slow consumer stops the reading", () => {
    const hand = new Hand({ windowBytes: 40 });
    hand.connect();
    hand.hear("0123456789\n");
    expect(hand.core.readsOn).toBe(true);
    hand.hear("0\n");
    hand.hear("\n\n");
    expect([hand.core.readsOn, hand.core.isFull]).toEqual([false, true]);
    hand.read();
    expect(hand.core.readsOn).toBe(true);
  });

  test("the peer ends in order: what was whole is handed over, and a client connects again", () => {
    const hand = new Hand();
    hand.connect();
    hand.hear("whole\npart");
    hand.cut(CLOSED_BY_PEER);
    expect(hand.read()).toEqual(["whole"]);
    expect([hand.core.inputEnded, hand.core.wantsDial]).toEqual([false, true]);
    expect(hand.last("disconnected")).toMatchObject({ reason: CLOSED_BY_PEER });
  });

  test.each([
    ["a decoder that throws", "poison\n", {}, "framing-failed", "poison"],
    ["a message that is too large", `${"x".repeat(101)}\n`, { maxMessageBytes: 100 }, "oversized", "101 bytes"],
    [
      "a function that throws",
      "any\n",
      {
        reconnectWhen: () => {
          throw new Error("mine");
        },
      },
      "function-failed",
      "mine",
    ],
    ["neither yes nor no", "any\n", { reconnectWhen: () => "READONLY" as never }, "function-failed", "reconnectWhen()"],
  ])("%s closes the connection, which was useless if it brought nothing else", (_, text, options, reason, detail) => {
    const hand = new Hand(options);
    for (const [before, wasUseless] of [
      ["", true],
      ["good\n", options === undefined || reason === "function-failed"],
    ] as const) {
      hand.connect();
      if (reason !== "function-failed") hand.hear(before);
      hand.hear(`${text}late\n`);
      expect(hand.last("disconnected")).toMatchObject({
        reason,
        wasUseless,
        fault: { detail: expect.stringContaining(detail) },
      });
      expect(hand.last("close-connection")).toMatchObject({ channel: hand.id, last: undefined });
    }
    expect(hand.read()).toEqual(reason === "function-failed" ? [] : ["good"]);
  });

  test("after a message that says so the link goes to another address", () => {
    const hand = new Hand({ reconnectWhen: (message) => message.includes("READONLY") });
    hand.connect();
    hand.hear("fine\nREADONLY\nlate\n");
    expect(hand.last("disconnected")).toMatchObject({
      reason: "reconnect-when",
      restsAddress: true,
      wasUseless: false,
    });
    expect(hand.read()).toEqual(["fine", "READONLY"]);
    hand.connect();
    hand.hear("READONLY\n");
    expect(hand.last("disconnected")).toMatchObject({ restsAddress: true, wasUseless: true });
  });
});

describe("endings", () => {
  test("close(): everything is written, then the connection is closed in order, and what nobody answered is counted", () => {
    const hand = new Hand();
    hand.connect();
    hand.send("one", "two");
    hand.core.end();
    hand.core.stopReading();
    expect(hand.write()).toBe("one\ntwo\n");
    expect(hand.core.ended).toBe(false);
    hand.written();
    expect(hand.last("close-connection")).toMatchObject({ last: [] });
    expect(hand.last("ended")).toMatchObject({
      outcome: "closed",
      undelivered: [],
      untracked: { messages: 2, bytes: 6 },
    });
    expect(hand.core.gone).toBe(true);
  });

  test("end() alone goes on reading, until the peer ends too", () => {
    const hand = new Hand();
    hand.connect();
    hand.send("one");
    hand.core.end();
    hand.flush();
    hand.hear("answer\n");
    hand.cut(CLOSED_BY_PEER);
    expect([hand.core.inputEnded, hand.core.wantsDial, hand.core.ended]).toEqual([false, false, false]);
    expect(hand.read()).toEqual(["answer"]);
    expect([hand.core.inputEnded, hand.core.ended]).toEqual([true, true]);
  });

  test("close() while there is no connection dials for what waits, and for nothing else", () => {
    const hand = new Hand();
    hand.connect();
    hand.cut();
    hand.send("one");
    hand.core.end();
    hand.core.stopReading();
    expect([hand.core.wantsDial, hand.core.ended]).toEqual([true, false]);
    hand.connect();
    hand.flush();
    expect(hand.last("ended")).toMatchObject({ outcome: "closed" });
    const other = new Hand();
    other.connect();
    other.cut();
    other.core.end();
    other.core.stopReading();
    expect(other.last("ended")).toMatchObject({ outcome: "closed", undelivered: [] });
  });

  test("abort() reports what is in doubt and what was not sent", () => {
    const hand = new Hand();
    hand.connect();
    hand.send("one");
    hand.flush();
    hand.send("two");
    hand.core.reset("aborted", "", "aborted");
    expect(hand.reported("ended")).toEqual(["one maybe", "two not-sent"]);
    expect(hand.last("close-connection")).toMatchObject({ last: undefined });
    expect(hand.drain()).toEqual([]);
    hand.core.abandon("gave-up");
    expect(hand.drain()).toEqual([]);
    // flush() must not say that all is well.
    expect(hand.core.unackedBytes).toBe(6);
  });

  test("a link that was never connected and has nothing to send just ends", () => {
    const hand = new Hand();
    hand.send("one");
    expect(hand.core.endUnopened()).toBe(false);
    const other = new Hand();
    expect([other.core.endUnopened(), other.core.ended]).toEqual([true, true]);
    const connected = new Hand();
    connected.connect();
    expect(connected.core.endUnopened()).toBe(false);
  });
});

describe("a connection that logs in", () => {
  test("one that has failed: what it has sent goes out with the close, and no event says so", () => {
    const hand = new Hand({ hasLogin: true });
    const id = hand.connect();
    hand.core.loginSend(id, Buffer.from("QUIT"), "framed");
    hand.core.loginFailed(id);
    hand.core.loginFailed(id);
    expect(hand.drain()).toEqual(["close-connection"]);
    expect(Buffer.concat(hand.last("close-connection")?.last ?? []).toString()).toBe("QUIT\n");
    expect(hand.core.wantsDial).toBe(true);
  });

  test("it is not in use before, its messages go to the login, and the rest to the consumer", () => {
    const hand = new Hand({ hasLogin: true });
    hand.send("queued");
    const id = hand.connect();
    expect([hand.core.adopted, hand.core.wantsDial]).toEqual([undefined, false]);
    hand.core.loginSend(id, Buffer.from("hello"), "framed");
    hand.core.loginSend(id, Buffer.from("raw"), "raw");
    expect(hand.write()).toBe("hello\nraw");
    hand.hear("welcome\nnews\n");
    expect(hand.all("login-message").map(({ message }) => String(message))).toEqual(["welcome", "news"]);
    hand.core.loginDone(id, [Buffer.from("news")], 0);
    expect(hand.drain()).toContain("connected");
    expect(hand.flush()).toBe("queued\n");
    expect(hand.read()).toEqual(["news"]);
  });

  test.each([
    ["is cut", (hand: Hand) => hand.cut(), "ECONNRESET", 0],
    ["cannot be decoded", (hand: Hand) => hand.hear("poison\n"), "framing-failed", 0],
  ])("one that %s is a failed attempt, and was never connected", (_, fail, reason, retryAfterMs) => {
    const hand = new Hand({ hasLogin: true });
    hand.connect();
    fail(hand);
    expect(hand.last("attempt-failed")).toMatchObject({ channel: 1, reason, retryAfterMs });
    expect([hand.all("connected").length, hand.all("disconnected").length, hand.core.wantsDial]).toEqual([0, 0, true]);
  });

  test("raw bytes that are expected are not decoded", () => {
    const hand = new Hand({ hasLogin: true });
    hand.core.loginExpect(hand.connect(), 2);
    hand.hear("S");
    hand.hear("Lnext\n");
    expect(hand.all("login-message").map(({ message }) => String(message))).toEqual(["SL", "next"]);
  });

  test("raw bytes that come one by one are put together, and none of them is copied again and again", () => {
    const hand = new Hand({ hasLogin: true });
    const expected = Buffer.from(Array.from({ length: 200_000 }, (_, n) => n % 251));
    hand.core.loginExpect(hand.connect(), expected.length);
    const beganMs = performance.now();
    for (let n = 0; n < expected.length; n++) hand.core.receive(hand.id, expected.subarray(n, n + 1), 0);
    // Each time copied whole, they would be 20 GB.
    expect(performance.now() - beganMs).toBeLessThan(1_500);
    hand.core.loginExpect(hand.id, 2);
    hand.hear("SLnext\n");
    const [first, ...others] = hand.all("login-message").map(({ message }) => message);
    expect(first?.equals(expected)).toBe(true);
    expect(others.map(String)).toEqual(["SL", "next"]);
  });

  test("TLS begins on a clean connection, and what comes under it is decoded anew", () => {
    const hand = new Hand({ hasLogin: true });
    const id = hand.connect();
    hand.hear("go ahead\n");
    expect(hand.core.startTls(id, 0)).toBe(true);
    hand.core.tlsStarted(id);
    hand.hear("secret\n");
    expect(hand.all("login-message").map(({ message }) => String(message))).toEqual(["go ahead", "secret"]);
  });

  test.each([
    ["a part of a message", "go ahead\npart", 0],
    ["a message", "go ahead\nmore\n", 1],
  ])("%s behind the answer that allowed TLS is an attack", (_, text, unread) => {
    const hand = new Hand({ hasLogin: true });
    const id = hand.connect();
    hand.hear(text);
    expect(hand.core.startTls(id, unread)).toBe(false);
    expect(hand.last("attempt-failed")).toMatchObject({ reason: "bytes-before-tls", fault: { code: "bad-frame" } });
  });

  test("bytes that come in the clear while TLS is being started are one, too", () => {
    const hand = new Hand({ hasLogin: true });
    const id = hand.connect();
    hand.core.startTls(id, 0);
    hand.hear("more\n");
    expect(hand.last("attempt-failed")).toMatchObject({ reason: "bytes-before-tls" });
  });

  test("an unused link that is needed again is not at rest while it logs in", () => {
    const hand = new Hand({ hasLogin: true, idleCloseMs: 100 });
    hand.core.loginDone(hand.connect(), [], 0);
    hand.pass(100);
    expect([hand.core.isAtRest, hand.core.wantsDial]).toEqual([true, false]);
    hand.send("needed again");
    expect(hand.core.isAtRest).toBe(false);
    hand.connect();
    expect([hand.core.isAtRest, hand.core.wantsDial]).toEqual([false, false]);
  });
});
