import { getEventListeners } from "node:events";
import { expect, test } from "vitest";
import { RespliceError } from "../../src/link/errors.ts";
import { Waits } from "../../src/link/waits.ts";
import { failure, isPending } from "../support.ts";

test("all that wait go on together, and who comes later waits anew", async () => {
  const waits = new Waits();
  const first = [waits.wait(undefined), waits.wait(undefined)];
  expect(await isPending(first[0] as Promise<void>)).toBe(true);
  waits.resolve();
  await Promise.all(first);
  expect(await isPending(waits.wait(undefined))).toBe(true);
});

test("all that wait are rejected together", async () => {
  const waits = new Waits();
  const error = new RespliceError("LINK_ENDED", "over");
  const failed = [waits.wait(undefined), waits.wait(undefined)].map(failure);
  waits.reject(error);
  expect(await Promise.all(failed)).toEqual([error, error]);
});

test("a signal ends its own wait alone, also where it was aborted before", async () => {
  const waits = new Waits();
  const abort = new AbortController();
  const other = waits.wait(undefined);
  const aborted = failure(waits.wait(abort.signal));
  abort.abort("enough");
  expect(await aborted).toMatchObject({ code: "ABORTED" });
  expect(await failure(waits.wait(abort.signal))).toMatchObject({ code: "ABORTED" });
  expect(await isPending(other)).toBe(true);
});

test("a signal that outlives the wait keeps nothing of it", async () => {
  const waits = new Waits();
  const { signal } = new AbortController();
  const wait = waits.wait(signal);
  expect(getEventListeners(signal, "abort")).toHaveLength(1);
  waits.resolve();
  await wait;
  expect(getEventListeners(signal, "abort")).toEqual([]);
});
