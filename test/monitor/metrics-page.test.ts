import { beforeEach, expect, test, vi } from "vitest";
import { COLLECTED_WITHIN_MS, MetricsPage } from "../../src/monitor/metrics-page.ts";
import { fakeTime } from "../fake-time.ts";

beforeEach(() => {
  fakeTime();
});

/** A registry that answers when it is told to. */
function setUp() {
  const asked: Array<PromiseWithResolvers<string>> = [];
  const register = {
    registerMetric: () => {},
    contentType: "text/plain",
    metrics: () => {
      const waiting = Promise.withResolvers<string>();
      asked.push(waiting);
      return waiting.promise;
    },
  };
  return { asked, register, page: new MetricsPage(register) };
}

test("requests that come meanwhile share a text; the next one is new", async () => {
  const { asked, page } = setUp();
  const [first, second] = [page.text(), page.text()];
  asked[0]?.resolve("one");
  expect(await Promise.all([first, second])).toEqual(["one", "one"]);
  const third = page.text();
  asked[1]?.resolve("two");
  expect([await third, asked.length, vi.getTimerCount()]).toEqual(["two", 2, 0]);
});

test.each([
  [
    "throws",
    () => {
      throw new Error("mine");
    },
    /mine/u,
  ],
  ["rejects", () => Promise.reject(new Error("mine")), /mine/u],
  ["answers no text", () => Promise.resolve(undefined as unknown as string), /no text/u],
])("a registry that %s fails this text, and not the next", async (_, metrics, error) => {
  const { register } = setUp();
  const page = new MetricsPage({ ...register, metrics });
  await expect(page.text()).rejects.toThrow(error);
  await expect(page.text()).rejects.toThrow(error);
});

test("a text that hangs is given up in time; it is asked for again, but not without end", async () => {
  const { asked, page } = setUp();
  for (let time = 0; time < 4; time++) {
    const text = page.text();
    vi.advanceTimersByTime(COLLECTED_WITHIN_MS);
    await expect(text).rejects.toThrow(/no text within 10 s/u);
  }
  await expect(page.text()).rejects.toThrow(/4 texts are under way/u);
  expect(asked).toHaveLength(4);
  asked[0]?.resolve("late");
  await vi.advanceTimersByTimeAsync(0);
  const next = page.text();
  asked[4]?.resolve("new");
  expect(await next).toBe("new");
});
