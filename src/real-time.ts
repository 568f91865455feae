/**
 * Node's timers and clocks, as they were when this module was loaded. All of `src` but the command uses these, and not
 * the globals: the fake timers that a test runner puts in place of the globals would stop the links of a service under
 * test, while its sockets go on.
 */
import { performance } from "node:perf_hooks";
// Jest leaves this module alone, even where its fake timers are in place before anything is loaded.
import timers from "node:timers";

export interface RealTime {
  /** Monotonic, in milliseconds. */
  now: () => number;
  /** The wall clock, in milliseconds since 1970. */
  wallMs: () => number;
  setTimeout: typeof setTimeout;
  clearTimeout: typeof clearTimeout;
  setInterval: typeof setInterval;
  clearInterval: typeof clearInterval;
  setImmediate: typeof setImmediate;
  clearImmediate: typeof clearImmediate;
  nextTick: typeof process.nextTick;
  queueMicrotask: typeof queueMicrotask;
}

export const realTime: RealTime = {
  now: performance.now.bind(performance),
  wallMs: Date.now,
  setTimeout: timers.setTimeout,
  clearTimeout: timers.clearTimeout,
  setInterval: timers.setInterval,
  clearInterval: timers.clearInterval,
  setImmediate: timers.setImmediate,
  clearImmediate: timers.clearImmediate,
  nextTick: process.nextTick.bind(process),
  queueMicrotask: globalThis.queueMicrotask,
};
