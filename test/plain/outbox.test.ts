/** The memory of what a plain link sends: what is reserved, what is used again, and what must not be. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BlockPool } from "../../src/core/log/blocks.ts";
import { delimited } from "../../src/plain/delimited.ts";
import { LEAST_SLOTS } from "../../src/plain/entries.ts";
import { Entry } from "../../src/plain/entry.ts";
import { lines } from "../../src/plain/lines.ts";
import { Outbox } from "../../src/plain/outbox.ts";
import { Storage } from "../../src/plain/storage.ts";
import { CountingBudget } from "../core/support.ts";
import { LINES } from "./support.ts";

type Kind = "light" | "objects" | "both";

/** "light": messages without objects. "both": each third has one. */
function made(blockBytes = 4_096, kind: Kind = "both", given?: Storage) {
  const pool = new BlockPool(blockBytes);
  const budget = new CountingBudget();
  const outbox = new Outbox(
    { queue: { maxMessages: 10_000, maxBytes: 1_000_000 }, maxMessageBytes: 100, logBudget: budget },
    given ?? new Storage(LINES, undefined, pool),
  );
  const send = (text: string): void => {
    const hasObject = kind === "objects" || (kind === "both" && outbox.next % 3 === 1);
    if (hasObject) outbox.take(text, text.length, false, false);
    else outbox.takeLight(text, text.length, false);
  };
  const write = (): Buffer[] => {
    const out: Buffer[] = [];
    outbox.write(out, 1_000_000, undefined);
    return out;
  };
  return { pool, budget, outbox, send, write };
}

test.each<Kind>(["light", "objects", "both"])("small messages (%s) are one buffer for each block", (kind) => {
  const { send, write } = made(1_024, kind);
  for (let n = 0; n < 200; n++) send("123456789");
  expect(write().length).toBe(2);
});

test.each<Kind>(["light", "objects", "both"])(
  "no more small messages (%s) are written than there is room for",
  (kind) => {
    const { outbox, send } = made(1_024, kind);
    for (let n = 0; n < 20; n++) send("123456789");
    const out: Buffer[] = [];
    outbox.write(out, 55, undefined);
    expect([String(Buffer.concat(out)), outbox.sentTo]).toEqual(["123456789\n".repeat(5), 5]);
    expect([outbox.queuedMessages, outbox.queuedBytes, outbox.unwrittenBytes]).toEqual([15, 135, 180]);
    outbox.written();
    expect([outbox.unwrittenBytes, outbox.doubtBytes]).toEqual([135, 5 * 109]);
    const next: Buffer[] = [];
    // At least one is written, however little room there is.
    outbox.write(next, 1, undefined);
    expect(String(Buffer.concat(next))).toBe("123456789\n");
  },
);

test("the budget is asked in steps, and given back when nothing waits", () => {
  const { budget, outbox, send, write } = made();
  send("x".repeat(200));
  expect(budget.taken).toBeGreaterThan(200);
  const before = budget.taken;
  send("x".repeat(200));
  expect(budget.taken).toBe(before);
  write();
  outbox.written();
  expect([budget.taken, outbox.roomBytes]).toEqual([0, 0]);
});

test("there is room as the queue says, in messages and in bytes of payload", () => {
  const outbox = new Outbox(
    { queue: { maxMessages: 2, maxBytes: 10 }, maxMessageBytes: 100, logBudget: new CountingBudget() },
    new Storage(LINES, undefined, new BlockPool()),
  );
  expect([outbox.hasRoom(10), outbox.hasRoom(11)]).toEqual([true, false]);
  outbox.take("123", 3, false, false);
  expect([outbox.hasRoom(7), outbox.hasRoom(8), outbox.roomBytes, outbox.roomMessages]).toEqual([true, false, 7, 1]);
  outbox.take("", 0, false, false);
  expect(outbox.hasRoom(0)).toBe(false);
});

test("a budget that is used up has room for the guaranteed minimum only", () => {
  const outbox = new Outbox(
    { queue: { maxMessages: 10, maxBytes: 1_000 }, maxMessageBytes: 100, logBudget: new CountingBudget(0) },
    new Storage(LINES, undefined, new BlockPool()),
  );
  expect([outbox.hasRoom(100), outbox.hasRoom(101)]).toEqual([true, false]);
});

describe.each<Kind>(["light", "objects", "both"])("messages: %s", (kind) => {
  test("blocks are used again once nothing in them is needed, and not while a socket may read them", () => {
    const { outbox, pool, send, write } = made(1_024, kind);
    const taken: Buffer[] = [];
    const give = pool.give.bind(pool);
    pool.give = (block) => {
      taken.push(block);
      give(block);
    };
    for (let n = 0; n < 200; n++) send("123456789");
    write();
    outbox.written();
    expect(taken).toEqual([]);
    outbox.letGo(-1);
    expect(taken.length).toBeGreaterThan(0);
    const before = taken.length;
    for (let n = 0; n < 400; n++) send("123456789");
    write();
    outbox.lost(true);
    write();
    outbox.written();
    outbox.letGo(-1);
    // The connection that was lost may still read these.
    expect(taken.length).toBe(before);
  });

  test("what is reported is not overwritten by later messages", () => {
    const { outbox, send, write } = made(1_024, kind);
    const texts = Array.from({ length: 50 }, (_, n) => `first ${n}`);
    for (const text of texts) send(text);
    write();
    outbox.written();
    const shown = outbox.lost(false).map(({ payload }) => payload);
    for (let n = 0; n < 1_000; n++) {
      send(`later ${n}`);
      write();
      outbox.written();
      outbox.letGo(-1);
    }
    expect(shown.map(String)).toEqual(texts);
  });

  test("what is in doubt is written again on the next connection, before what is newer", () => {
    const { outbox, send, write } = made(1_024, kind);
    for (let n = 0; n < 300; n++) send(`${n}`);
    outbox.write([], 500, undefined);
    outbox.written();
    outbox.letGo(2_000);
    outbox.write([], 300, undefined);
    const from = outbox.head;
    const inDoubt = outbox.lost(true);
    expect(inDoubt.map(({ number }) => number)).toEqual(Array.from(inDoubt, (_, n) => from + n));
    expect(inDoubt.every(({ wasWritten }) => wasWritten)).toBe(true);
    send("last");
    const all = [...Array.from({ length: 300 - from }, (_, n) => `${from + n}`), "last"];
    expect(String(Buffer.concat(write()))).toBe(all.map((text) => `${text}\n`).join(""));
    outbox.written();
    expect([outbox.queuedMessages, outbox.queuedBytes, outbox.unwrittenBytes]).toEqual([0, 0, 0]);
    expect(outbox.doubtBytes).toBe(all.join("").length + 100 * all.length);
    outbox.letGo(-1);
    expect([outbox.doubtBytes, outbox.head, outbox.untrackedMessages]).toEqual([0, 301, 301]);
  });

  test("a proof before the kernel has said that it has everything is counted once", () => {
    const { budget, outbox, send, write } = made(1_024, kind);
    for (let n = 0; n < 30; n++) send("123456789");
    outbox.write([], 100, undefined);
    outbox.proven(10, () => {});
    expect([outbox.deliveredMessages, outbox.deliveredBytes, outbox.doubtBytes]).toEqual([10, 90, 0]);
    expect(outbox.lost(true)).toEqual([]);
    expect(Buffer.concat(write()).length).toBe(200);
    outbox.written();
    expect([outbox.deliveredMessages, outbox.doubtBytes, outbox.head]).toEqual([10, 20 * 109, 10]);
    outbox.proven(30, () => {});
    expect([outbox.deliveredMessages, outbox.deliveredBytes, outbox.doubtBytes]).toEqual([30, 270, 0]);
    expect([outbox.isClear, outbox.unwrittenBytes, budget.taken]).toEqual([true, 0, 0]);
  });

  test("what is proven while it is written is not in doubt when the kernel has it", () => {
    const { outbox, send } = made(1_024, kind);
    for (let n = 0; n < 30; n++) send("123456789");
    outbox.write([], 100, undefined);
    outbox.proven(7, () => {});
    outbox.written();
    expect([outbox.head, outbox.doubtBytes, outbox.unwrittenBytes]).toEqual([7, 3 * 109, 180]);
  });

  test("at the end messages that were never written are told from those in doubt", () => {
    const { outbox, send } = made(1_024, kind);
    for (let n = 0; n < 30; n++) send(`${n}`);
    outbox.write([], 10, undefined);
    outbox.written();
    const written = outbox.sentTo;
    const left = outbox.end();
    expect(left.map(({ payload }) => String(payload))).toEqual(Array.from({ length: 30 }, (_, n) => `${n}`));
    expect(left.filter(({ wasWritten }) => wasWritten).length).toBe(written);
    expect([outbox.next, outbox.head, outbox.queuedMessages, outbox.queuedBytes]).toEqual([30, 30, 0, 0]);
  });

  test("many messages that are settled do not pile up", () => {
    const { outbox, send, write } = made(4_096, kind);
    for (let n = 0; n < 20_000; n++) {
      send("x");
      if (n % 100 < 99) continue;
      write();
      outbox.written();
      outbox.letGo(-1);
    }
    expect([outbox.head, outbox.untrackedMessages]).toEqual([20_000, 20_000]);
    send("last");
    expect(write().map(String)).toEqual(["last\n"]);
  });
});

test.each([
  { framing: lines(), refused: "two\nlines", wire: "one\nthree\n" },
  { framing: delimited("--"), refused: "t--wo", wire: "one--three--" },
])("a message that $framing.name refuses, behind another one, leaves nothing behind", ({ framing, refused, wire }) => {
  const { outbox, send, write } = made(4_096, "light", new Storage(framing, undefined, new BlockPool()));
  send("one");
  expect(() => send(refused)).toThrow("the message");
  send("three");
  expect([String(Buffer.concat(write())), outbox.takenBytes]).toEqual([wire, 8]);
});

test.each([lines(), delimited("--")])(
  "an encode() that the application has replaced frames each message: $name",
  (framing) => {
    framing.encode = (message) => [Buffer.from("<"), message, Buffer.from(">")];
    const { send, write } = made(4_096, "light", new Storage(framing, undefined, new BlockPool()));
    for (const text of ["one", "two"]) send(text);
    expect(String(Buffer.concat(write()))).toBe("<one><two>");
  },
);

test.each([lines(), delimited("--")])("each message is asked for its id: $name", (framing) => {
  const { outbox } = made(4_096, "objects", new Storage(framing, (message) => message[0], new BlockPool()));
  const ids = ["one", "two"].map((text) => outbox.take(text, 3, false, true).id);
  expect(ids.map((id) => String.fromCharCode(Number(id)))).toEqual(["o", "t"]);
  expect(() => outbox.take("", 0, false, true)).toThrow("no id");
});

test("a small message gets an object when it is asked for", () => {
  const { outbox, send, write } = made(1_024, "light");
  for (let n = 0; n < 5; n++) send(`${n}`);
  const waiting = outbox.entry(4);
  expect([waiting.number, String(waiting.payload), waiting.wasWritten]).toEqual([4, "4", false]);
  expect(write().map(String)).toEqual(["0\n1\n2\n3\n4\n"]);
  const written = outbox.entry(0);
  expect([written.number, String(written.payload), written.wasWritten]).toEqual([0, "0", true]);
  expect(outbox.entry(0)).toBe(written);
  outbox.written();
  outbox.letGo(-1);
  expect([outbox.untrackedMessages, outbox.untrackedBytes, outbox.doubtBytes]).toEqual([5, 5, 0]);
});

test("a light message that does not lie on the wire unchanged is kept all the same", () => {
  const framing = { ...LINES, encode: (message: Buffer) => Buffer.from(`<${message.toString("hex")}>`) };
  const outbox = new Outbox(
    { queue: { maxMessages: 10, maxBytes: 100_000 }, maxMessageBytes: 100_000, logBudget: new CountingBudget() },
    new Storage(framing, undefined, new BlockPool()),
  );
  const texts = ["first", "second", "x".repeat(20_000), "last"];
  for (const text of texts) outbox.takeLight(text, text.length, false);
  const out: Buffer[] = [];
  outbox.write(out, 1_000_000, undefined);
  expect(String(Buffer.concat(out))).toBe(texts.map((text) => `<${Buffer.from(text).toString("hex")}>`).join(""));
  expect(outbox.lost(false).map(({ payload }) => String(payload))).toEqual(texts);
});

test("a message of which a piece cannot be copied leaves no gap between its neighbours", () => {
  const lying = Object.defineProperty(new Uint8Array(10_000), "length", { value: 10 });
  let pieces = (message: Buffer): Uint8Array[] => [message, Buffer.from("\n")];
  const framing = { ...LINES, encode: (message: Buffer) => pieces(message) };
  const { send, write } = made(1_024, "light", new Storage(framing, undefined, new BlockPool(1_024)));
  send("one");
  const whole = pieces;
  pieces = (message) => [message, lying, message];
  expect(() => send("broken")).toThrow(RangeError);
  pieces = whole;
  send("two");
  expect(write().map(String)).toEqual(["one\ntwo\n"]);
});

test("no more messages are let go than have to be", () => {
  const { outbox, send, write } = made(1_024, "light");
  for (let n = 0; n < 20; n++) send("123456789");
  write();
  outbox.written();
  outbox.letGo(5 * 109 + 1);
  expect([outbox.head, outbox.untrackedMessages, outbox.untrackedBytes, outbox.doubtBytes]).toEqual([
    15,
    15,
    15 * 9,
    5 * 109,
  ]);
});

test("a message that was reported can be sent again, from its own memory", () => {
  const { outbox, send, write } = made(1_024);
  const framing = { ...LINES, encode: (message: Buffer) => Buffer.concat([message, Buffer.from("\n")]) };
  const other = new Storage(framing, undefined, new BlockPool(1_024));
  const entry = new Entry(false);
  other.store(entry, "first", 5, false);
  other.keep(entry);
  const { payload } = entry;
  const again = new Entry(false);
  other.store(again, payload, 5, false);
  other.keep(again);
  expect(String(again.payload)).toBe("first");
  send("x");
  expect(write().map(String)).toEqual(["x\n"]);
  expect(outbox.isWriting).toBe(true);
});

/** Two messages are to be sent again, of which the last is settled. */
function lostBehindSettled() {
  const { outbox, send, write } = made();
  send("one");
  send("two");
  write();
  outbox.written();
  outbox.delivered(outbox.entry(1));
  outbox.lost(true);
  return { outbox, write };
}

test("a settled message that stands last is passed over when the others are sent again", () => {
  const { outbox, write } = lostBehindSettled();
  expect(write().map(String)).toEqual(["one\n"]);
  outbox.written();
  outbox.delivered(outbox.entry(0));
  expect([outbox.kernelTo, outbox.isClear]).toEqual([2, true]);
});

test("settled messages alone are not sent again, and wait for no connection", () => {
  const { outbox, send, write } = made();
  send("one");
  write();
  // It is answered while the kernel has not taken all of it.
  outbox.delivered(outbox.entry(0));
  outbox.lost(true);
  expect([outbox.sentTo, outbox.next]).toEqual([1, 1]);
  send("two");
  expect(write().map(String)).toEqual(["two\n"]);
});

test("settled messages behind those that are sent again do not hold up what the kernel has", () => {
  const { outbox, write } = lostBehindSettled();
  const out: Buffer[] = [];
  outbox.write(out, 1, undefined);
  outbox.written();
  outbox.delivered(outbox.entry(0));
  expect(write()).toEqual([]);
  expect([outbox.kernelTo, outbox.isWriting]).toEqual([2, false]);
});

/** Takes with the framing's `encode`, and answers the outbox. */
function framedBy(encode: (message: Buffer, outbox: Outbox) => readonly Uint8Array[]): Outbox {
  const framing = { ...LINES, encode: (message: Buffer) => encode(message, outbox) };
  const outbox: Outbox = new Outbox(
    { queue: { maxMessages: 10, maxBytes: 1_000_000 }, maxMessageBytes: 100_000, logBudget: new CountingBudget() },
    new Storage(framing, undefined, new BlockPool()),
  );
  return outbox;
}

/** So many that their objects are used again for the next ones. */
function settleSome(outbox: Outbox): void {
  for (let n = 0; n < LEAST_SLOTS; n++) outbox.take("x", 1, false, false);
  outbox.write([], 1_000, undefined);
  outbox.written();
  outbox.letGo(-1);
}

test.each(["take", "takeLight"] as const)(
  "a large message that %s() refuses leaves nothing for the next one",
  (how) => {
    const outbox = framedBy((message) =>
      message.length > 1_000 ? [message, "no bytes" as never] : [Buffer.from(`<${String(message)}>`)],
    );
    settleSome(outbox);
    expect(() => outbox[how]("L".repeat(20_000), 20_000, false, false)).toThrow("a piece that is no bytes");
    outbox[how]("small", 5, false, false);
    expect(outbox.end().map(({ payload }) => String(payload))).toEqual(["small"]);
  },
);

test.each(["take", "takeLight"] as const)("a framing cannot %s() while it encodes, and its message is taken", (how) => {
  const refused: unknown[] = [];
  const outbox = framedBy((message, own) => {
    try {
      own[how]("inner", 5, false, false);
    } catch (error) {
      refused.push(error);
    }
    return [message];
  });
  outbox[how]("one", 3, false, false);
  outbox[how]("two", 3, false, false);
  expect(refused).toMatchObject([{ code: "INVALID_STATE" }, { code: "INVALID_STATE" }]);
  expect(outbox.end().map(({ payload }) => String(payload))).toEqual(["one", "two"]);
});

test("whether messages have objects changes nothing that can be seen", () => {
  const steps = fc.array(
    fc.record({
      what: fc.constantFrom("send", "send", "write", "written", "let go", "prove", "lose", "resend"),
      much: fc.nat({ max: 60 }),
    }),
    { maxLength: 60 },
  );
  fc.assert(
    fc.property(steps, (all) => {
      const [light, objects, both] = (["light", "objects", "both"] as const).map((kind) => ran(kind, all));
      expect(light).toEqual(objects);
      expect(both).toEqual(objects);
    }),
  );
});

/** Everything that can be seen of an outbox at each step. */
function ran(kind: Kind, steps: ReadonlyArray<{ what: string; much: number }>): unknown[] {
  const { outbox, budget, send } = made(256, kind);
  const told = (entries: Entry[]): string[] => entries.map((entry) => `${String(entry.payload)} ${entry.wasWritten}`);
  const does: Record<string, (much: number) => unknown> = {
    send: (much) => {
      for (let n = 0; n < much; n++) send(`${outbox.next}`.repeat(n % 3));
    },
    write: (much) => {
      const out: Buffer[] = [];
      if (!outbox.isWriting) outbox.write(out, 1 + 8 * much, undefined);
      return String(Buffer.concat(out));
    },
    written: () => outbox.written(),
    "let go": (much) => outbox.letGo(100 * much),
    prove: (much) => outbox.proven(Math.max(outbox.head, outbox.sentTo - much), () => {}),
    lose: () => told(outbox.lost(false)),
    resend: () => told(outbox.lost(true)),
  };
  const seen = steps.map(({ what, much }) => {
    const answer = does[what]?.(much);
    const { head, kernelTo, sentTo, next, queuedMessages, queuedBytes, unwrittenBytes, doubtBytes } = outbox;
    const { deliveredMessages, deliveredBytes, untrackedMessages, untrackedBytes } = outbox;
    const counts = [deliveredMessages, deliveredBytes, untrackedMessages, untrackedBytes, budget.taken];
    return [
      what,
      answer,
      head,
      kernelTo,
      sentTo,
      next,
      queuedMessages,
      queuedBytes,
      unwrittenBytes,
      doubtBytes,
      counts,
    ];
  });
  return [seen, told(outbox.end())];
}
