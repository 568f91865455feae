import { expect, onTestFinished, test, vi } from "vitest";
import { SHOWN_MS } from "../../../src/monitor/live/messages.ts";
import { EVERY_MS, Watch } from "../../../src/monitor/live/watch.ts";
import { realTime } from "../../../src/real-time.ts";
import { fakeTime } from "../../fake-time.ts";
import { StandInSource } from "./stand-ins.ts";

function watch(...sources: StandInSource[]) {
  fakeTime();
  const host = { onHappened: vi.fn<() => void>(), onPassed: vi.fn<() => void>() };
  const watched = new Watch(
    sources.map(({ named }) => named),
    host,
  );
  onTestFinished(() => watched.stop());
  return { watched, ...host };
}

test("very many links are looked at in pieces, so that other work is not kept waiting", () => {
  const source = new StandInSource(...Array.from({ length: 1_000 }, (_, at) => `link${at}`));
  const { watched, onPassed } = watch(source);
  let nowMs = 0;
  // Each look at the clock is a tenth of a millisecond later.
  realTime.now = () => (nowMs += 0.1);
  let pieces = 0;
  while (onPassed.mock.calls.length === 0) {
    const before = source.all.reduce((sum, { looks }) => sum + looks, 0);
    vi.advanceTimersToNextTimer();
    const looks = source.all.reduce((sum, link) => sum + link.looks, 0) - before;
    expect(looks).toBeLessThanOrEqual(21);
    pieces++;
  }
  expect(pieces).toBeGreaterThan(40);
  expect(watched.isReady).toBe(true);
});

test("sums are over all sources; rates begin with the second look", async () => {
  const [one, other] = [new StandInSource("a", "b"), new StandInSource("c")];
  const { watched } = watch(one, other);
  await vi.advanceTimersByTimeAsync(10);
  expect(watched.shared.points).toEqual({});
  for (const link of [...one.all, ...other.all]) link.numbers = { received: { messages: 2, bytes: 30 } };
  await vi.advanceTimersByTimeAsync(EVERY_MS);
  expect(Object.values(watched.shared.points)).toEqual([[expect.any(Number), 0, 6, 0, 90, 1, 1, 3, 0]]);
  expect(Array.from(watched.entries(), ({ key, source }) => [key, source])).toEqual([
    [1, 0],
    [2, 0],
    [3, 1],
  ]);
});

test("points go back for five minutes, and no farther", async () => {
  const { watched } = watch(new StandInSource("a"));
  await vi.advanceTimersByTimeAsync(2 * SHOWN_MS);
  const numbers = Object.keys(watched.shared.points).map(Number);
  expect(numbers).toHaveLength(SHOWN_MS / EVERY_MS);
  expect(numbers.at(-1)).toBeGreaterThan(590);
});

test("what has happened is told, and what is not for people is not", () => {
  const source = new StandInSource("a");
  const { watched, onHappened } = watch(source);
  source.telemetry.journal.record({ event: "server.unwatched", resource: "heap", reason: "" });
  expect(onHappened).not.toHaveBeenCalled();
  source.telemetry.journal.record({ event: "server.state", from: "created", to: "bound", reason: "listen()" });
  expect(onHappened).toHaveBeenCalledOnce();
  expect(Object.values(watched.shared.happened)).toMatchObject([{ source: 0, text: "server bound: listen()" }]);
});

test("after its end it hears nothing", async () => {
  const source = new StandInSource("a");
  const { watched, onHappened, onPassed } = watch(source);
  watched.stop();
  source.telemetry.journal.record({ event: "server.state", from: "created", to: "bound", reason: "listen()" });
  await vi.advanceTimersByTimeAsync(5_000);
  expect([onHappened, onPassed].map(({ mock }) => mock.calls.length)).toEqual([0, 0]);
});
