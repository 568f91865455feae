import { expect, test } from "vitest";
import { Entry, LinkBook } from "../../../src/monitor/live/link-book.ts";
import { STATES } from "../../../src/monitor/live/messages.ts";
import type { Sums } from "../../../src/monitor/live/sums.ts";
import { realTime } from "../../../src/real-time.ts";
import { fakeTime } from "../../fake-time.ts";
import { StandInLink, StandInSource } from "./stand-ins.ts";

function bookOf(source: StandInSource): LinkBook {
  let keys = 0;
  const book = new LinkBook(0, source, () => ++keys);
  source.telemetry.journal.subscribe((record) => {
    if (record.event === "link.state") book.changed(record.ids.link, record.change, realTime.wallMs());
  });
  return book;
}

function pass(book: LinkBook): Sums {
  const pieces = book.pass();
  let step = pieces.next();
  while (step.done !== true) step = pieces.next();
  return step.value;
}

function rows(book: LinkBook) {
  return Array.from(book.entries, (entry) => entry.row(realTime.wallMs()));
}

test("a link has its place, its figures, and its band from when its state began", () => {
  fakeTime({ now: 1_000_000 });
  const source = new StandInSource("abc");
  const [link] = source.all as [StandInLink];
  link.identity = "ed\u202ege";
  link.numbers = { rttMs: 1.23456, reconnects: 2, recoveryMs: 45.678, logBytes: 9, queue: { messages: 3, bytes: 30 } };
  const book = bookOf(source);
  pass(book);
  expect(rows(book)).toEqual([
    {
      id: "abc",
      source: 0,
      state: "connected",
      sinceMs: 995_000,
      reason: "",
      peer: "ed\\u202ege",
      address: "10.0.0.7",
      rttMs: 1.23,
      queued: 3,
      queuedBytes: 30,
      inFlightBytes: 9,
      sentPerS: 0,
      receivedPerS: 0,
      reconnects: 2,
      recoveryMs: 45.7,
      band: [995_000, STATES.indexOf("connected")],
      cuts: [],
    },
  ]);
});

test("a client's link has where it goes; words are looked for in id, peer and address", () => {
  const entry = new Entry(1, 0, new StandInLink("ABC", "db.internal:5432"));
  expect([entry.row(0).peer, entry.searched]).toEqual(["db.internal:5432", "abc db.internal:5432 10.0.0.7"]);
  expect(new Entry(1, 0, new StandInLink("abc", () => {})).row(0).peer).toBe("");
});

test("rates are between two looks", () => {
  fakeTime();
  const source = new StandInSource("abc");
  const [link] = source.all as [StandInLink];
  const book = bookOf(source);
  pass(book);
  link.numbers = { taken: { messages: 50, bytes: 0 }, received: { messages: 20, bytes: 0 } };
  realTime.now = () => performance.now() + 2_000;
  pass(book);
  expect(rows(book)[0]).toMatchObject({ sentPerS: 25, receivedPerS: 10 });
});

test("a state changes at once, with its reason; a lost connection is a cut", () => {
  fakeTime({ now: 1_000_000 });
  const source = new StandInSource("abc");
  const [link] = source.all as [StandInLink];
  const book = bookOf(source);
  pass(book);
  source.change(link, "reconnecting", "silent", { code: "TIMED_OUT", message: "no \u001b answer" });
  expect(rows(book)[0]).toMatchObject({
    state: "reconnecting",
    sinceMs: 1_000_000,
    reason: "silent: no \\x1b answer",
    cuts: [1_000_000],
  });
  // An attempt that fails is no other cut.
  source.change(link, "connecting", "dial");
  source.change(link, "reconnecting", "failed");
  expect(rows(book)[0]?.cuts).toHaveLength(1);
  source.change(link, "connected", "resumed");
  book.recovered("abc", 250, 1_000_000);
  expect(rows(book)[0]?.cuts).toEqual([1_000_000, 999_750]);
});

test("a link of which a record was heard first is found", () => {
  const source = new StandInSource();
  const book = bookOf(source);
  pass(book);
  const asked = source.asked;
  book.discover();
  expect(source.asked).toBe(asked);
  const link = new StandInLink("new");
  source.all.push(link);
  source.change(link, "connected");
  book.discover();
  expect(rows(book).map(({ id }) => id)).toEqual(["new"]);
});

test("a link that has ended is shown for a while, without rates, and is counted no more", () => {
  fakeTime();
  const source = new StandInSource("abc", "def");
  const [link] = source.all as [StandInLink];
  const book = bookOf(source);
  expect(pass(book).links).toBe(2);
  source.change(link, "closed", "closed");
  const before = realTime.wallMs();
  expect(pass(book).links).toBe(1);
  expect(rows(book)[0]).toMatchObject({ id: "abc", state: "closed", sentPerS: 0 });
  realTime.wallMs = () => before + 14_000;
  pass(book);
  expect(rows(book)).toHaveLength(2);
  realTime.wallMs = () => before + 16_000;
  pass(book);
  expect(rows(book).map(({ id }) => id)).toEqual(["def"]);
});

test("of very many that have ended, the last hundred are shown", () => {
  const source = new StandInSource(...Array.from({ length: 300 }, (_, at) => `link${at}`));
  const book = bookOf(source);
  pass(book);
  for (const link of source.all) source.change(link, "closed", "closed");
  pass(book);
  expect(rows(book).map(({ id }) => id)).toEqual(Array.from({ length: 100 }, (_, at) => `link${at + 200}`));
});

test("a link that ends while all are looked at is counted once", () => {
  const source = new StandInSource("abc", "def");
  const book = bookOf(source);
  for (const link of source.all) link.numbers = { taken: { messages: 10, bytes: 0 } };
  const pieces = book.pass();
  pieces.next();
  const [, second] = source.all as [StandInLink, StandInLink];
  source.change(second, "closed", "closed");
  source.telemetry.linkEnded(second);
  let step = pieces.next();
  while (step.done !== true) step = pieces.next();
  expect(step.value.takenMessages).toBe(20);
  expect(pass(book).takenMessages).toBe(20);
});
