/** Fake timers under our own modules, which do not use the globals that vitest replaces. */
import { onTestFinished, vi } from "vitest";
import { realTime } from "../src/real-time.ts";

const REAL: Readonly<typeof realTime> = { ...realTime };

/**
 * Our modules have vitest's fake timers from now on, to the end of the test, or until the function that this answers is
 * called.
 */
export function fakeTime(options?: Parameters<typeof vi.useFakeTimers>[0]): () => void {
  vi.useFakeTimers(options);
  const { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, clearImmediate } = globalThis;
  Object.assign(realTime, { setTimeout, clearTimeout, setInterval, clearInterval, setImmediate, clearImmediate });
  realTime.now = () => performance.now();
  realTime.wallMs = () => Date.now();
  const restore = (): void => {
    vi.useRealTimers();
    Object.assign(realTime, REAL);
  };
  onTestFinished(restore);
  return restore;
}
