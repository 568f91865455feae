import { expect, test } from "vitest";
import { bandPaths } from "../../page/band-paths.ts";
import { SHOWN_MS, STATES } from "../../src/monitor/live/messages.ts";

const NOW = 10_000_000;
const CONNECTED = STATES.indexOf("connected");
const RECONNECTING = STATES.indexOf("reconnecting");

test("a second is a unit, and now is to the right; what was before is cut off", () => {
  const { states, words } = bandPaths({ band: [NOW - 2 * SHOWN_MS, CONNECTED], cuts: [] }, NOW);
  expect(states).toEqual([["connected", "M0 2h300V10h-300z"]]);
  expect(words).toBe("last five minutes: connected 100 %; 0 cuts");
});

test("a short state is wide enough to be seen, and drawn above the long ones", () => {
  const cut = NOW - 60_000;
  const { states, cuts, cutCount, words } = bandPaths(
    { band: [NOW - 120_000, CONNECTED, cut, RECONNECTING, cut + 10, CONNECTED], cuts: [cut] },
    NOW,
  );
  expect(states).toEqual([
    ["connected", "M180 2h60V10h-60zM240.01 2h59.99V10h-59.99z"],
    ["reconnecting", "M240 2h0.75V10h-0.75z"],
  ]);
  expect([cuts, cutCount, words]).toEqual([
    "M240 0V10",
    1,
    "last five minutes: connected 100 %, reconnecting 0 %; 1 cut",
  ]);
});

test("what is older than is shown is not drawn", () => {
  const old = NOW - SHOWN_MS - 1;
  const { states, cutCount } = bandPaths(
    { band: [old - 10, RECONNECTING, old, CONNECTED], cuts: [old, NOW + 1_000] },
    NOW,
  );
  expect([states.map(([state]) => state), cutCount]).toEqual([["connected"], 0]);
});

test("a link that is new has a word for it", () => {
  expect(bandPaths({ band: [NOW, CONNECTED], cuts: [] }, NOW).words).toBe(
    "last five minutes: connected just now; 0 cuts",
  );
});
