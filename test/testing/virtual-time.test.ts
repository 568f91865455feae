import { expect, test } from "vitest";
import { VirtualTime } from "../../src/testing/virtual-time.ts";
import { runToExit } from "../support.ts";

/** Notes when each thing happens. */
function diary(): { time: VirtualTime; seen: string[]; note: (what: string) => () => void } {
  const time = new VirtualTime();
  const seen: string[] = [];
  return { time, seen, note: (what) => () => void seen.push(`${time.nowMs} ${what}`) };
}

test("timers run in the order of their time, and of their making where that is the same", async () => {
  const { time, seen, note } = diary();
  for (const [what, dueMs] of [
    ["c", 20],
    ["a", 10],
    ["d", 20],
    ["b", 10],
    ["e", 31],
  ] as const) {
    time.timer(note(what)).set(dueMs);
  }
  await time.advance(30);
  expect(seen).toEqual(["10 a", "10 b", "20 c", "20 d"]);
  await time.advance(1);
  expect(seen.at(-1)).toBe("31 e");
});

test("a timer is moved away, brought nearer, cleared and set again, and runs once each time", async () => {
  const { time, seen, note } = diary();
  const [away, nearer, cleared, again] = ["away", "nearer", "cleared", "again"].map((what) => time.timer(note(what)));
  away?.set(10);
  away?.set(50);
  nearer?.set(50);
  nearer?.set(20);
  cleared?.set(30);
  cleared?.clear();
  again?.set(30);
  again?.clear();
  again?.set(40);
  await time.advance(100);
  expect(seen).toEqual(["20 nearer", "40 again", "50 away"]);
  again?.set(150);
  await time.advance(100);
  expect(seen.slice(3)).toEqual(["150 again"]);
});

test("a timer that moves away all the time leaves nothing behind on the clock", () => {
  const { time, note } = diary();
  const timer = time.timer(note("idle"));
  let scheduled = 0;
  const { schedule } = VirtualTime.prototype;
  time.schedule = (delayMs, event) => {
    scheduled++;
    return schedule.call(time, delayMs, event);
  };
  for (let dueMs = 1_000; dueMs < 2_000; dueMs++) timer.set(dueMs);
  expect(scheduled).toBe(1);
});

test("what a timer sets for the same moment runs in that moment", async () => {
  const { time, seen, note } = diary();
  time
    .timer(() => {
      note("first")();
      time.timer(note("second")).set(time.now());
      time.timer(note("too late")).set(time.now() - 5);
    })
    .set(10);
  await time.advance(10);
  expect(seen).toEqual(["10 first", "10 second", "10 too late"]);
});

test("what is due now runs without advance(), one thing in a turn, and promises come in between", async () => {
  const { time, seen, note } = diary();
  for (const what of ["one", "two"]) {
    time.schedule(0, () => {
      note(what)();
      void Promise.resolve().then(note(`after ${what}`));
      time.defer(note(`end of ${what}`), undefined);
    });
  }
  expect(seen).toEqual([]);
  await expect.poll(() => seen.at(-1)).toBe("0 after two");
  expect(seen).toEqual(["0 one", "0 end of one", "0 after one", "0 two", "0 end of two", "0 after two"]);
});

test("after the poll is after everything that has arrived", async () => {
  const { time, seen, note } = diary();
  time.schedule(0, () => {
    note("arrives")();
    time.afterPoll(note("acknowledged"), undefined);
  });
  time.schedule(0, note("arrives, too"));
  await time.advance(0);
  expect(seen).toEqual(["0 arrives", "0 arrives, too", "0 acknowledged"]);
});

test("what is taken back does not run, and time does not stop at it", async () => {
  const { time, seen, note } = diary();
  time.schedule(5, note("taken back"))();
  time.schedule(0, note("taken back, too"))();
  await time.advance(10);
  expect([seen, time.nowMs, time.nextMs]).toEqual([[], 10, Infinity]);
});

test("time passes until what is waited for, and no further", async () => {
  const { time, note, seen } = diary();
  for (const dueMs of [10, 20, 30]) time.timer(note("tick")).set(dueMs);
  await time.advanceUntil(() => seen.length === 2);
  expect(time.nowMs).toBe(20);
  await time.advanceUntil(() => false);
  expect(time.nowMs).toBe(30);
});

test("stopped, it runs nothing", async () => {
  const { time, seen, note } = diary();
  time.schedule(0, note("now"));
  time.schedule(5, note("later"));
  time.stop();
  time.schedule(0, note("too late"));
  await time.advance(10);
  expect([seen, time.nowMs]).toEqual([[], 0]);
});

test("an event that throws reaches uncaughtException, and the next ones run", async () => {
  const url = new URL("../../src/testing/virtual-time.ts", import.meta.url).href;
  const printed = await runToExit(`
    const { VirtualTime } = await import(${JSON.stringify(url)});
    process.on("uncaughtException", (error) => console.log(error.message));
    const time = new VirtualTime();
    time.schedule(0, () => { throw new Error("one"); });
    time.schedule(0, () => console.log("two"));
    time.timer(() => { throw new Error("three"); }).set(10);
    time.timer(() => console.log("four")).set(10);
    await time.advance(10);
  `);
  expect(printed.split("\n")).toEqual(["one", "two", "three", "four"]);
});
