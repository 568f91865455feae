import { expect, onTestFinished, test, vi } from "vitest";
import { LINGER_MS, LivePage, MOST_VIEWERS } from "../../../src/monitor/live/live-page.ts";
import { viewOf } from "../../../src/monitor/live/view.ts";
import { fakeTime } from "../../fake-time.ts";
import { StandInLink, StandInResponse, StandInSource } from "./stand-ins.ts";

function live(...ids: string[]) {
  fakeTime();
  const source = new StandInSource(...ids);
  const page = new LivePage([source.named]);
  onTestFinished(() => page.close());
  const enter = (query = ""): StandInResponse => {
    const response = new StandInResponse();
    page.add(viewOf(query) as NonNullable<ReturnType<typeof viewOf>>, response.response);
    return response;
  };
  return { source, page, enter, link: source.all[0] as StandInLink };
}

test("all links are looked at once a second, and what has changed is told", async () => {
  const { enter, link } = live("abc", "def");
  const viewer = enter();
  await vi.advanceTimersByTimeAsync(10);
  expect(viewer.messages.map(({ event }) => event)).toEqual(["whole"]);
  expect(viewer.frame.links).toMatchObject({ total: 2, order: [1, 2] });
  link.numbers = { taken: { messages: 7, bytes: 70 }, logBytes: 5 };
  await vi.advanceTimersByTimeAsync(1_000);
  expect(viewer.messages).toHaveLength(2);
  expect(viewer.messages[1]?.data["links"]).toEqual({ rows: { "1": { inFlightBytes: 5, sentPerS: 7 } } });
  expect(Object.values(viewer.frame.points)).toEqual([[expect.any(Number), 7, 0, 70, 0, 1, 1, 2, 0]]);
  expect(viewer.frame.sources["0"]).toMatchObject({ kind: "server", name: "edge", figures: { links: 2, sentPerS: 7 } });
});

test("a cut is told within a tenth of a second, with all that happens meanwhile", async () => {
  const { source, enter, link } = live("abc", "def");
  const viewer = enter();
  await vi.advanceTimersByTimeAsync(500);
  source.change(link, "reconnecting");
  source.change(link, "connecting", "dial");
  await vi.advanceTimersByTimeAsync(99);
  expect(viewer.messages).toHaveLength(2);
  expect(viewer.frame.links.rows["1"]).toMatchObject({ state: "connecting", cuts: [expect.any(Number)] });
  expect(Object.values(viewer.frame.happened)).toMatchObject([{ link: "abc", text: "connection lost: ECONNRESET" }]);
});

test("a link that is new is there as soon", async () => {
  const { source, enter } = live("abc");
  const viewer = enter();
  await vi.advanceTimersByTimeAsync(500);
  const link = new StandInLink("new");
  source.all.push(link);
  source.change(link, "connected");
  await vi.advanceTimersByTimeAsync(99);
  expect(viewer.frame.links).toMatchObject({ total: 2, rows: { "2": { id: "new" } } });
});

test("what links outside of the page do costs the viewer nothing but numbers", async () => {
  const { source, enter } = live(...Array.from({ length: 5_000 }, (_, at) => `link${at}`));
  const viewer = enter("rows=10");
  await vi.advanceTimersByTimeAsync(500);
  for (const link of source.all.slice(100)) source.change(link, "reconnecting");
  await vi.advanceTimersByTimeAsync(99);
  const told = viewer.messages.slice(1);
  expect(JSON.stringify(told).length).toBeLessThan(10_000);
  expect(viewer.frame.links.states).toEqual({ connected: 100, reconnecting: 4_900 });
});

test("nothing is heard, read or kept before the first viewer, and a while after the last", async () => {
  const { source, page, enter, link } = live("abc");
  await vi.advanceTimersByTimeAsync(5_000);
  expect([page.isWatching, source.asked, link.looks]).toEqual([false, 0, 0]);
  const viewer = enter();
  await vi.advanceTimersByTimeAsync(5_000);
  viewer.emit("close");
  await vi.advanceTimersByTimeAsync(LINGER_MS - 1);
  expect(page.isWatching).toBe(true);
  await vi.advanceTimersByTimeAsync(1);
  const { looks } = link;
  const { asked } = source;
  source.change(link, "reconnecting");
  await vi.advanceTimersByTimeAsync(10_000);
  expect([page.isWatching, link.looks, source.asked, vi.getTimerCount()]).toEqual([false, looks, asked, 0]);
  const again = enter();
  await vi.advanceTimersByTimeAsync(10);
  expect(again.frame.happened).toEqual({});
});

test("a viewer that comes back soon finds what was there", async () => {
  const { source, enter, link } = live("abc");
  const viewer = enter();
  await vi.advanceTimersByTimeAsync(500);
  source.change(link, "reconnecting");
  viewer.emit("close");
  await vi.advanceTimersByTimeAsync(LINGER_MS / 2);
  const again = enter();
  expect(again.frame.links.rows["1"]?.cuts).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(LINGER_MS);
  expect(again.messages.length).toBeGreaterThan(20);
});

test("there are so many viewers at most, and one that has gone makes room", () => {
  const { page, enter } = live("abc");
  const viewers = Array.from({ length: MOST_VIEWERS }, () => enter());
  expect([page.viewers, page.isFull]).toEqual([MOST_VIEWERS, true]);
  viewers[0]?.emit("close");
  expect(page.isFull).toBe(false);
});

test("each viewer is told in a turn of its own", async () => {
  const { enter } = live("abc");
  const viewers = Array.from({ length: MOST_VIEWERS }, () => enter());
  vi.advanceTimersToNextTimer();
  const told = (): number => viewers.filter(({ messages }) => messages.length > 0).length;
  expect(told()).toBe(1);
  vi.advanceTimersToNextTimer();
  expect(told()).toBe(2);
  await vi.advanceTimersByTimeAsync(1_010);
  expect(viewers.map(({ messages }) => messages.length)).toEqual(viewers.map(() => 2));
});

test("an error of its connection is the viewer's end, and no one else's", async () => {
  const { page, enter } = live("abc");
  const [one, other] = [enter(), enter()];
  one.emit("error", new Error("ECONNRESET"));
  one.emit("close");
  await vi.advanceTimersByTimeAsync(1_500);
  expect([page.viewers, one.messages.length > 2, other.messages.length]).toEqual([1, false, 2]);
});

test("close() ends the answers, and the watch", async () => {
  const { page, enter } = live("abc");
  const viewer = enter();
  await vi.advanceTimersByTimeAsync(10);
  page.close();
  expect([viewer.isEnded, page.isWatching, page.viewers, vi.getTimerCount()]).toEqual([true, false, 0, 0]);
});
