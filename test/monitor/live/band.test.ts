import { expect, test } from "vitest";
import { Band, MOST_CHANGES } from "../../../src/monitor/live/band.ts";
import { SHOWN_MS, STATES } from "../../../src/monitor/live/messages.ts";

const place = (state: (typeof STATES)[number]): number => STATES.indexOf(state);

test("says from when there was which state, and when the connection was lost", () => {
  const band = new Band("connected", 1_000.4);
  band.cut(2_000);
  band.change("reconnecting", 2_000);
  band.change("connected", 2_500);
  expect([band.state, band.sinceMs]).toEqual(["connected", 2_500]);
  expect(band.shown(3_000)).toEqual({
    band: [1_000, place("connected"), 2_000, place("reconnecting"), 2_500, place("connected")],
    cuts: [2_000],
  });
});

test("forgets what is older than is shown, but for the state at that time", () => {
  const band = new Band("connecting", 0);
  band.change("connected", 10);
  band.cut(20);
  band.change("reconnecting", 20);
  band.change("connected", 30);
  expect(band.shown(SHOWN_MS + 25)).toEqual({ band: [20, place("reconnecting"), 30, place("connected")], cuts: [] });
  expect(band.shown(10 * SHOWN_MS).band).toEqual([30, place("connected")]);
});

test("a link that changes all the time has a shorter band", () => {
  const band = new Band("connected", 0);
  for (let ms = 1; ms <= 1_000; ms++) {
    band.cut(ms);
    band.change(ms % 2 === 0 ? "connected" : "reconnecting", ms);
  }
  const shown = band.shown(1_000);
  expect([shown.band.length, shown.cuts.length]).toEqual([2 * MOST_CHANGES, MOST_CHANGES]);
  expect(shown.band.slice(-2)).toEqual([1_000, place("connected")]);
  expect(shown.cuts.at(-1)).toBe(1_000);
});

test("attempts that fail soon do not drive out what was before the outage; those that take longer are shown", () => {
  const band = new Band("connected", 0);
  band.change("reconnecting", 10_000);
  for (let ms = 10_250; ms <= 40_000; ms += 250) {
    band.change("connecting", ms);
    band.change("reconnecting", ms + 5);
  }
  expect([band.state, band.sinceMs]).toEqual(["reconnecting", 10_000]);
  band.change("connecting", 41_000);
  band.change("reconnecting", 42_000);
  band.change("connecting", 43_000);
  band.change("connected", 43_001);
  expect(band.shown(43_001).band).toEqual([
    0,
    place("connected"),
    10_000,
    place("reconnecting"),
    41_000,
    place("connecting"),
    42_000,
    place("reconnecting"),
    43_000,
    place("connecting"),
    43_001,
    place("connected"),
  ]);
});

test("what it shows is a copy", () => {
  const band = new Band("connected", 0);
  band.shown(0).band.push(1);
  expect(band.shown(0).band).toHaveLength(2);
});
