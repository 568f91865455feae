import { expect, test } from "vitest";
import { type LinkSample, Samples } from "../../src/telemetry/samples.ts";
import { sampleOf } from "./sample-of.ts";

test("the totals are those of all links, the ended ones included; the samples are those of the others", () => {
  let links: LinkSample[] = [
    sampleOf({
      taken: { messages: 1, bytes: 10 },
      accepted: { messages: 1, bytes: 9 },
      received: { messages: 2, bytes: 20 },
      undelivered: { overflow: 1, expired: 2 },
      reconnects: 3,
    }),
    sampleOf({ taken: { messages: 4, bytes: 40 }, undelivered: { expired: 5 } }),
  ];
  const counts = { turnedAway: 7 };
  const levels = { connections: 2 };
  const samples = new Samples({ links: () => links, counts: () => counts, levels: () => levels });
  const totals = {
    takenMessages: 5,
    takenBytes: 50,
    acceptedMessages: 1,
    acceptedBytes: 9,
    receivedMessages: 2,
    receivedBytes: 20,
    reconnects: 3,
    undelivered: { overflow: 1, expired: 7 },
  };
  expect(samples.take()).toEqual({ links, totals, counts, levels });
  const [first, ...rest] = links as [LinkSample, ...LinkSample[]];
  links = rest;
  samples.ended(first);
  expect(samples.take()).toEqual({ links: rest, totals, counts, levels });
  expect(samples.totals()).toEqual(totals);
});

test("to take a snapshot changes nothing: a second renderer gets the same", () => {
  const samples = new Samples({ links: () => [sampleOf({ reconnects: 2 })], counts: () => ({}), levels: () => ({}) });
  expect(samples.take()).toEqual(samples.take());
});
