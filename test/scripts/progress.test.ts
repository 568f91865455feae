import { expect, onTestFinished, test, vi } from "vitest";
import { duration, ProgressLine } from "../../scripts/progress.ts";

/** What is written, piece by piece. */
function begin(screen: { isTTY?: boolean; columns?: number }): { progress: ProgressLine; written: string[] } {
  vi.useFakeTimers();
  const written: string[] = [];
  const progress = new ProgressLine({ ...screen, write: (text) => written.push(text) });
  onTestFinished(() => {
    progress.end();
    vi.useRealTimers();
  });
  return { progress, written };
}

const CLEAR = "\r\u001B[K";

test("a line a minute where there is no terminal, also while nothing is heard of the run", () => {
  const { progress, written } = begin({});
  progress.at(0, 10, () => "none");
  vi.advanceTimersByTime(59_000);
  expect(written).toEqual([]);
  vi.advanceTimersByTime(1_000);
  expect(written).toEqual(["60 s: none\n"]);
  progress.at(2, 10, () => "two");
  vi.advanceTimersByTime(59_000);
  progress.clear();
  expect(written).toHaveLength(1);
  vi.advanceTimersByTime(1_000);
  expect(written.slice(1)).toEqual(["2 min, about 3 min left: two\n"]);
  vi.advanceTimersByTime(600_000);
  expect(written).toHaveLength(12);
});

test("on a terminal one line, five times a second at the most, which is written over", () => {
  const { progress, written } = begin({ isTTY: true });
  progress.at(0, 100, () => "0 of 100");
  vi.advanceTimersByTime(199);
  progress.at(1, 100, () => "1 of 100");
  expect(written).toEqual([]);
  vi.advanceTimersByTime(1);
  progress.at(2, 100, () => "2 of 100");
  expect(written).toEqual([`${CLEAR}0 s, about 10 s left: 2 of 100`]);
  vi.advanceTimersByTime(800);
  expect(written).toHaveLength(2);
  progress.clear();
  expect(written.at(-1)).toBe(CLEAR);
});

test("a line that is longer than the terminal is cut: wrapped, it could not be written over", () => {
  const { progress, written } = begin({ isTTY: true, columns: 20 });
  progress.at(0, 1, () => "x".repeat(100));
  vi.advanceTimersByTime(1_000);
  expect(written).toEqual([CLEAR + "1 s: " + "x".repeat(14)]);
});

test("a terminal that does not know its width has 80 columns", () => {
  const { progress, written } = begin({ isTTY: true, columns: 0 });
  progress.at(0, 1, () => "x".repeat(100));
  vi.advanceTimersByTime(1_000);
  expect(written).toEqual([CLEAR + "1 s: " + "x".repeat(74)]);
});

test("what was done before the run began does not make it look faster", () => {
  const { progress, written } = begin({});
  progress.at(800, 1_000, () => "seeds");
  vi.advanceTimersByTime(40_000);
  progress.at(900, 1_000, () => "seeds");
  vi.advanceTimersByTime(20_000);
  expect(written).toEqual(["60 s, about 20 s left: seeds\n"]);
  progress.at(1_100, 1_000, () => "seeds");
  vi.advanceTimersByTime(60_000);
  expect(written.at(-1)).toBe("2 min, about 0 s left: seeds\n");
});

test("nothing more is written after the end", () => {
  const { progress, written } = begin({ isTTY: true });
  progress.at(0, 1, () => "");
  progress.end();
  vi.advanceTimersByTime(600_000);
  expect(written).toEqual([CLEAR]);
  expect(vi.getTimerCount()).toBe(0);
});

test.each([
  [0, "0 s"],
  [89_400, "89 s"],
  [90_000, "2 min"],
  [89 * 60_000, "89 min"],
  [90 * 60_000, "1 h 30 min"],
  [26 * 3_600_000, "26 h 0 min"],
])("%i ms: %s", (ms, text) => {
  expect(duration(ms)).toBe(text);
});
