import { expect, test } from "vitest";
import { type LinkSample, Samples } from "../../src/telemetry/samples.ts";
import { sampleOf } from "./sample-of.ts";

test("the totals are those of all links, the ended ones included; the samples are those of the others", () => {
  let links: LinkSample[] = [
    sampleOf({ taken: { messages: 1, bytes: 10 }, received: { messages: 2, bytes: 20 }, reconnects: 3 }),
    sampleOf({ taken: { messages: 4, bytes: 40 } }),
  ];
  const samples = new Samples({ links: () => links, counts: () => ({ turnedAway: 7 }) });
  const totals = { takenMessages: 5, takenBytes: 50, receivedMessages: 2, receivedBytes: 20, reconnects: 3 };
  expect(samples.take()).toEqual({ links, totals, counts: { turnedAway: 7 } });
  const [first, ...rest] = links as [LinkSample, ...LinkSample[]];
  links = rest;
  samples.ended(first);
  expect(samples.take()).toEqual({ links: rest, totals, counts: { turnedAway: 7 } });
});

test("to take a snapshot changes nothing: a second renderer gets the same", () => {
  const samples = new Samples({ links: () => [sampleOf({ reconnects: 2 })], counts: () => ({}) });
  expect(samples.take()).toEqual(samples.take());
});
