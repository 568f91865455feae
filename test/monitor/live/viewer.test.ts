import { expect, test } from "vitest";
import { Entry } from "../../../src/monitor/live/link-book.ts";
import { type Order, ORDERS } from "../../../src/monitor/live/messages.ts";
import { type View, viewOf } from "../../../src/monitor/live/view.ts";
import { linksFrame, MOST_WAITING_BYTES, Viewer } from "../../../src/monitor/live/viewer.ts";
import { Watch } from "../../../src/monitor/live/watch.ts";
import { fakeTime } from "../../fake-time.ts";
import { StandInLink, StandInResponse, StandInSource } from "./stand-ins.ts";

function view(query: string): View {
  const given = viewOf(query);
  if (given === undefined) throw new Error(query);
  return given;
}

function entries(count: number, each: (link: StandInLink, at: number) => void = () => {}): Entry[] {
  return Array.from({ length: count }, (_, at) => {
    const link = new StandInLink(`link${at}`);
    each(link, at);
    return new Entry(at, 0, link);
  });
}

test("a page of the links, and how many there are", () => {
  const frame = linksFrame(entries(30), view("from=10&rows=5"), 0);
  expect(frame).toMatchObject({ total: 30, matching: 30, from: 10, order: [10, 11, 12, 13, 14] });
  expect(Object.keys(frame.rows)).toEqual(["10", "11", "12", "13", "14"]);
});

test("behind the last page is the last page", () => {
  expect(linksFrame(entries(12), view("from=1000&rows=5"), 0)).toMatchObject({ from: 10, order: [10, 11] });
  expect(linksFrame([], view("from=1000"), 0)).toMatchObject({ from: 0, order: [], matching: 0 });
});

test("a filter takes links that have all of its words; states are counted before they are chosen", () => {
  const all = entries(20, (link, at) => {
    link.identity = at % 2 === 0 ? "Alpha" : "beta";
    link.state = at < 4 ? "reconnecting" : "connected";
  });
  const frame = linksFrame(all, view("filter=ALPHA%20link&states=reconnecting"), 0);
  expect(frame).toMatchObject({ total: 20, matching: 2, states: { connected: 8, reconnecting: 2 }, order: [0, 2] });
});

test.each<[Order, number[]]>([
  ["opened", [0, 1, 2, 3]],
  ["state", [3, 2, 0, 1]],
  ["rtt", [1, 3, 0, 2]],
  ["queue", [2, 0, 1, 3]],
  ["in-flight", [3, 0, 1, 2]],
  ["reconnects", [1, 0, 2, 3]],
  ["recovery", [2, 0, 1, 3]],
])("ordered by %s: the largest first, then the oldest", (order, expected) => {
  const all = entries(4, (link, at) => {
    link.state = (["connected", "connected", "suspect", "reconnecting"] as const)[at] ?? "idle";
    link.numbers = {
      rttMs: [5, 50, undefined, 20][at],
      queue: { messages: at === 2 ? 9 : 0, bytes: 0 },
      logBytes: at === 3 ? 9 : 1,
      reconnects: at === 1 ? 9 : 0,
      recoveryMs: at === 2 ? 9 : undefined,
    };
  });
  expect(linksFrame(all, view(`order=${order}`), 0).order).toEqual(expected);
});

test("ordered by rate, and each order is one that is tested", () => {
  const all = entries(3);
  (all[1] as Entry).sentPerS = 5;
  (all[2] as Entry).receivedPerS = 6;
  expect(linksFrame(all, view("order=rate"), 0).order).toEqual([2, 1, 0]);
  expect(ORDERS).toHaveLength(8);
});

function watching(source: StandInSource): Watch {
  fakeTime();
  return new Watch([source.named], { onHappened: () => {}, onPassed: () => {} });
}

test("first the whole, then what has changed", () => {
  const source = new StandInSource("abc", "def");
  const watch = watching(source);
  const to = new StandInResponse();
  const viewer = new Viewer(view(""), to);
  for (const _ of watch.entries());
  viewer.tell(watch);
  viewer.tell(watch);
  expect(to.messages.map(({ event }) => event)).toEqual(["whole", "patch"]);
  expect(to.messages[1]?.data).not.toHaveProperty("links");
  watch.stop();
});

test("a viewer that does not read is told nothing, and then the whole", () => {
  const watch = watching(new StandInSource("abc"));
  const to = new StandInResponse();
  const viewer = new Viewer(view(""), to);
  viewer.tell(watch);
  to.writableLength = MOST_WAITING_BYTES + 1;
  for (let time = 0; time < 100; time++) viewer.tell(watch);
  expect(to.messages).toHaveLength(1);
  to.writableLength = MOST_WAITING_BYTES;
  viewer.tell(watch);
  expect(to.messages.map(({ event }) => event)).toEqual(["whole", "whole"]);
  watch.stop();
});
