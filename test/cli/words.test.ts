import { expect, test } from "vitest";
import { describeChange, formatBytes, formatCount, formatMs } from "../../src/cli/words.ts";
import { RespliceError, type StateChange } from "../../src/index.ts";

test.each([
  [0, "0 B"],
  [1_023, "1023 B"],
  [1_024, "1.00 KiB"],
  [15_360, "15.0 KiB"],
  [102_400, "100 KiB"],
  [1_024_000, "0.98 MiB"],
  [1_048_576, "1.00 MiB"],
  [5 * 2 ** 40, "5.00 TiB"],
  [5_000 * 2 ** 40, "5000 TiB"],
])("%d bytes are %s", (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

test("numbers have commas, and a time that nobody knows a dash", () => {
  expect([formatCount(1_234_567), formatMs(1_234.4), formatMs(undefined)]).toEqual(["1,234,567", "1,234 ms", "-"]);
});

test.each<[Partial<StateChange>, string]>([
  [{ to: "connecting", attempt: 3, reason: "retry" }, "connecting, attempt 3 (retry)"],
  [{ from: "connecting", to: "connected", session: "new" }, "connected: a new session"],
  [{ from: "connecting", to: "connected", session: "resumed" }, "connected: the session is resumed"],
  [{ from: "suspect", to: "connected", reason: "heard from again" }, "connected again (heard from again)"],
  [
    { to: "reconnecting", attempt: 2, nextDelayMs: 499.6, reason: "ECONNRESET" },
    "no connection (ECONNRESET); attempt 2 in 500 ms",
  ],
  [
    { to: "reconnecting", attempt: 1, nextDelayMs: 5, error: new RespliceError("TIMED_OUT", "too late") },
    "no connection (TIMED_OUT: too late); attempt 1 in 5 ms",
  ],
  [{ to: "reconnecting", attempt: 0, reason: "ECONNRESET" }, "no connection (ECONNRESET); waiting for the client"],
  [{ to: "suspect", reason: "silent" }, "suspect (silent)"],
  [{ to: "idle", reason: "idle" }, "no connection (idle)"],
  [{ to: "draining", reason: "goaway" }, "draining (goaway)"],
  [{ to: "closed" }, "closed"],
  [{ to: "closed", error: new RespliceError("EXPIRED" as "TIMED_OUT", "gone") }, "closed: EXPIRED"],
])("%o is said as %s", (change, said) => {
  expect(describeChange(change as StateChange)).toBe(said);
});
