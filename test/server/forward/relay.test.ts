import { describe, expect, test } from "vitest";
import type { Connection, ConnectionHandler } from "../../../src/link/ports.ts";
import { relay } from "../../../src/server/forward/relay.ts";
import { ManualClock } from "../../support.ts";

/** One end of it is the test. */
class Fake implements Connection {
  handler: ConnectionHandler = { onData: () => undefined, onDrain: () => {}, onClosed: () => {} };
  readonly remoteAddress = "";
  readonly pendingBytes = 0;
  roomBytes = 10;
  readonly did: string[] = [];

  write(buffers: readonly Buffer[]): boolean {
    for (const buffer of buffers) {
      this.did.push(String(buffer));
      this.roomBytes = Math.max(0, this.roomBytes - buffer.length);
    }
    return false;
  }

  pause(): void {
    this.did.push("<pause>");
  }

  resume(): void {
    this.did.push("<resume>");
  }

  endWriting(): void {
    this.did.push("<end writing>");
  }

  end(): void {
    this.did.push("<end>");
  }

  destroy(): void {
    this.did.push("<destroy>");
  }

  says(text: string): void {
    this.handler.onData(Buffer.from(text));
  }
}

function setUp(first: string[] = ["hello"]) {
  const clock = new ManualClock(0);
  const [from, to] = [new Fake(), new Fake()];
  const over: string[] = [];
  relay({ from, to, first: first.map((text) => Buffer.from(text)) }, clock, (reason) => over.push(reason));
  return { clock, from, to, over };
}

test("what was said first goes first, and then everything both ways", () => {
  const { from, to } = setUp(["hello", "!"]);
  from.says("1");
  to.says("2");
  expect(to.did).toEqual(["hello", "!", "<resume>", "1"]);
  expect(from.did).toEqual(["<resume>", "2"]);
});

test("a connection without room stops the reading of the other, in either direction", () => {
  const { from, to } = setUp();
  from.says("12345");
  expect(from.did).toEqual(["<resume>", "<pause>"]);
  to.says("1234567890");
  expect(to.did).toEqual(["hello", "<resume>", "12345", "<pause>"]);
  to.roomBytes = 10;
  to.handler.onDrain();
  expect(from.did.at(-1)).toBe("<resume>");
  from.handler.onDrain();
  expect(to.did.at(-1)).toBe("<resume>");
});

test("where the first bytes fill the connection nothing is read before it drains", () => {
  const { from } = setUp(["1234567890"]);
  expect(from.did).toEqual(["<pause>"]);
});

describe("the end", () => {
  test("of a direction is passed on, and the other goes on", () => {
    const { from, to, over } = setUp();
    from.handler.onInputEnded?.();
    expect(to.did.at(-1)).toBe("<end writing>");
    to.says("last");
    expect([from.did.at(-1), over]).toEqual(["last", []]);
    to.handler.onInputEnded?.();
    expect(over).toEqual(["closed by the peer"]);
    expect([from.did.at(-1), to.did.at(-1)]).toEqual(["<end>", "<end>"]);
  });

  test("of the second direction is awaited for 2 s", () => {
    const { clock, from, to, over } = setUp();
    to.handler.onInputEnded?.();
    clock.pass(1_999);
    expect(over).toEqual([]);
    clock.pass(1);
    expect(over).toEqual(["closed by the peer"]);
    expect([from.did.at(-1), to.did.at(-1)]).toEqual(["<end>", "<end>"]);
  });

  test.each(["from", "to"] as const)("of the connection `%s` is that of the other, once", (which) => {
    const both = setUp();
    both[which].handler.onClosed("ECONNRESET");
    both[which].handler.onClosed("again");
    expect(both.over).toEqual(["ECONNRESET"]);
    expect([both.from.did.at(-1), both.to.did.at(-1)]).toEqual(["<end>", "<end>"]);
  });

  test("within the 2 s it is not told again", () => {
    const { clock, from, to, over } = setUp();
    to.handler.onInputEnded?.();
    from.handler.onClosed("closed");
    clock.pass(5_000);
    expect(over).toEqual(["closed"]);
  });
});
