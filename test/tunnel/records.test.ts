import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  dataHead,
  dataRecord,
  HEAD_BYTES,
  objectRecord,
  readOpen,
  readRefused,
  RECORD,
  record,
  RecordError,
  RecordReader,
  type RecordType,
} from "../../src/tunnel/records.ts";
import { runs } from "../properties.ts";

/** What a reader has said: DATA joined, other records whole. */
class Heard {
  readonly all: Array<[RecordType, string]> = [];
  #waiting: Promise<void> | undefined;

  /** Before the next thing is read. */
  waitFor(promise: Promise<void>): void {
    this.#waiting = promise;
  }

  onData(part: Buffer): void | Promise<void> {
    const last = this.all.at(-1);
    if (last?.[0] === RECORD.data) last[1] += part.toString("latin1");
    else this.all.push([RECORD.data, part.toString("latin1")]);
    return this.#take();
  }

  onRecord(type: RecordType, content: Buffer): void | Promise<void> {
    this.all.push([type, content.toString("latin1")]);
    return this.#take();
  }

  #take(): Promise<void> | undefined {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    return waiting;
  }
}

const anyRecord = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 300 }).map((content) => [RECORD.data, content] as const),
  fc.tuple(
    fc.constantFrom(RECORD.open, RECORD.opened, RECORD.refused, RECORD.end, RECORD.done),
    fc.uint8Array({ maxLength: 100 }),
  ),
);

test("of each part of DATA it is said whether more is here behind it", () => {
  const said: Array<readonly [string, boolean]> = [];
  const onData = (part: Buffer, isFollowed: boolean): void => void said.push([String(part), isFollowed]);
  const reader = new RecordReader({ onData, onRecord: () => {} });
  const [one, two, end] = ["one", "two", ""].map((text, n) =>
    record(n < 2 ? RECORD.data : RECORD.end, Buffer.from(text)),
  );
  void reader.push(Buffer.concat([one, two, end] as Buffer[]));
  void reader.push(Buffer.concat([one, two?.subarray(0, 5)] as Buffer[]));
  void reader.push(two?.subarray(5) as Buffer);
  expect(said).toEqual([
    ["one", true],
    ["two", true],
    ["one", true],
    ["t", false],
    ["wo", false],
  ]);
});

test("content that looks like a record is none", () => {
  const heard = new Heard();
  const reader = new RecordReader(heard);
  const inner = record(RECORD.data, Buffer.from("inner"));
  const outer = record(RECORD.data, Buffer.concat([Buffer.from("before"), inner]));
  void reader.push(outer.subarray(0, 10));
  void reader.push(outer.subarray(10));
  const cut = record(RECORD.opened, Buffer.from("?"));
  void reader.push(cut.subarray(0, 2));
  void reader.push(cut.subarray(2));
  expect(heard.all).toEqual([
    [RECORD.data, `before${inner.toString("latin1")}`],
    [RECORD.opened, "?"],
  ]);
});

test("records are read as they were written, however their bytes are split", () => {
  fc.assert(
    fc.property(fc.array(anyRecord, { maxLength: 12 }), fc.array(fc.nat(400)), (records, sizes) => {
      const bytes = Buffer.concat(records.map(([type, content]) => record(type, content)));
      const heard = new Heard();
      const reader = new RecordReader(heard);
      let at = 0;
      for (const size of [...sizes, bytes.length]) {
        expect(reader.push(Buffer.from(bytes.subarray(at, at + size)))).toBeUndefined();
        at += size;
      }
      expect(heard.all).toEqual(joined(records));
    }),
    { numRuns: runs(300) },
  );
});

/** DATA that follows DATA is one piece to the reader's application. */
function joined(records: ReadonlyArray<readonly [RecordType, Uint8Array]>): Array<[RecordType, string]> {
  const heard = new Heard();
  for (const [type, content] of records) {
    if (type === RECORD.data) void heard.onData(Buffer.from(content));
    else void heard.onRecord(type, Buffer.from(content));
  }
  return heard.all;
}

test("what the handler waits for is awaited before anything behind it is read", async () => {
  const heard = new Heard();
  const reader = new RecordReader(heard);
  const { promise, resolve } = Promise.withResolvers<void>();
  heard.waitFor(promise);
  const pushed = reader.push(
    Buffer.concat([record(RECORD.open, Buffer.from("first")), record(RECORD.data, Buffer.from("x"))]),
  );
  expect(heard.all).toEqual([[RECORD.open, "first"]]);
  resolve();
  await pushed;
  expect(heard.all).toEqual([
    [RECORD.open, "first"],
    [RECORD.data, "x"],
  ]);
});

test("a part of a head is kept when the memory that it was in changes", () => {
  const heard = new Heard();
  const reader = new RecordReader(heard);
  const bytes = record(RECORD.open, Buffer.from("content"));
  const shared = Buffer.alloc(6);
  bytes.copy(shared, 0, 0, 6);
  void reader.push(shared);
  shared.fill(0);
  void reader.push(bytes.subarray(6));
  expect(heard.all).toEqual([[RECORD.open, "content"]]);
});

describe("what breaks the rules is refused", () => {
  test.each([
    ["an unknown type", Buffer.from([9, 0, 0, 0])],
    ["DATA without content", Buffer.from([RECORD.data, 0, 0, 0])],
    ["a record that is too long", Buffer.from([RECORD.open, 0, 0x10, 1])],
  ])("%s", (_, bytes) => {
    expect(() => new RecordReader(new Heard()).push(bytes)).toThrow(RecordError);
  });

  test.each([
    "",
    "{",
    "null",
    "7",
    "{}",
    '{"to":7}',
    '{"to":"a:1","ends":7}',
    '{"to":"a:1","ends":{"source":{"address":"b","port":1}}}',
  ])("OPEN with the content %j", (content) => {
    expect(() => readOpen(Buffer.from(content))).toThrow(RecordError);
  });

  test.each(["[]", '{"code":1,"message":"m"}', '{"code":"c"}'])("REFUSED with the content %j", (content) => {
    expect(() => readRefused(Buffer.from(content))).toThrow(RecordError);
  });
});

test("OPEN and REFUSED carry what they were given", () => {
  const open = {
    to: "db:5432",
    ends: { source: { address: "::1", port: 7 }, destination: { address: "::1", port: 5_432 } },
  };
  expect(readOpen(objectRecord(RECORD.open, open).subarray(HEAD_BYTES))).toEqual(open);
  const unix = { to: "unix:/run/db", ends: undefined };
  expect(readOpen(objectRecord(RECORD.open, unix).subarray(HEAD_BYTES))).toEqual(unix);
  const refused = { code: "not-allowed", message: "no" };
  expect(readRefused(objectRecord(RECORD.refused, refused).subarray(HEAD_BYTES))).toEqual(refused);
});

test("a chunk goes as it is, or behind its head in the same memory; both are the record of its bytes", () => {
  const chunk = Buffer.from("some bytes");
  const copied = record(RECORD.data, chunk);
  const apart = dataRecord(chunk);
  expect(apart[1]).toBe(chunk);
  expect(Buffer.concat(apart)).toEqual(copied);
  const inPlace = Buffer.concat([Buffer.alloc(HEAD_BYTES), chunk]);
  inPlace.writeUInt32BE(dataHead(chunk.length));
  expect(inPlace).toEqual(copied);
});
