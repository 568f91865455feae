import type { LinkSample } from "../../src/telemetry/samples.ts";

/** The numbers of a link that has done nothing, but for those that are given. */
export function sampleOf(given: Partial<LinkSample> = {}): LinkSample {
  return {
    state: "connected",
    rttMs: 1,
    reconnects: 0,
    taken: { messages: 0, bytes: 0 },
    accepted: { messages: 0, bytes: 0 },
    received: { messages: 0, bytes: 0 },
    undelivered: {},
    queue: { messages: 0, bytes: 0 },
    logBytes: 0,
    windowBytes: 0,
    unacceptedBytes: 0,
    ...given,
  };
}
