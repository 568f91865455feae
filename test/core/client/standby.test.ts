import { describe, expect, test } from "vitest";
import { Standby } from "../../../src/core/client/standby.ts";

/** Opened with an answer that took so long. */
function standby(lastRoundTripMs: number, suspectAfterMs = 5_000): Standby {
  const created = new Standby(suspectAfterMs);
  created.lastRoundTripMs = lastRoundTripMs;
  return created;
}

describe("how long a standby is waited for", () => {
  test("a second, or twice the time to suspicion if that is less", () => {
    expect(standby(1).patienceMs(1)).toBe(1_000);
    expect(standby(1, 250).patienceMs(1)).toBe(500);
  });

  test("eight round trips, where the path is that slow", () => {
    expect(standby(700).patienceMs(700)).toBe(5_600);
    expect(standby(700).patienceMs(undefined)).toBe(5_600);
  });

  test("a connection opened in a crowd does not make the path a slow one", () => {
    expect(standby(215, 250).patienceMs(10)).toBe(500);
    expect(standby(3_000).patienceMs(10)).toBe(6_060);
  });

  test("a server that takes its time with each handshake is given twice as long, with any path", () => {
    for (const pathMs of [1, 50, 300, 1_000]) {
      for (const serverMs of [0, 100, 1_000, 5_000]) {
        // To connect, two for TLS, and STANDBY with its answer.
        const neededMs = 4 * pathMs + serverMs;
        expect(standby(pathMs + serverMs).patienceMs(pathMs)).toBeGreaterThanOrEqual(2 * neededMs);
      }
    }
  });

  test("data that queues up on the way does not make it wait for longer", () => {
    expect(standby(200).patienceMs(900)).toBe(1_600);
  });

  test("half as long again for each in a row that timed out, a minute at the most", () => {
    const impatient = standby(1);
    impatient.timedOut();
    impatient.timedOut();
    expect(impatient.patienceMs(1)).toBe(2_250);
    for (let n = 0; n < 20; n++) impatient.timedOut();
    expect(impatient.patienceMs(1)).toBe(60_000);
    impatient.calm();
    expect(impatient.patienceMs(1)).toBe(1_000);
  });
});

describe("how long until the next standby", () => {
  test("half to all of the patience", () => {
    expect([0, 0.5, 1].map((drawn) => standby(1).pauseMs(0, 1_000, drawn))).toEqual([500, 750, 1_000]);
  });

  test("as long as the server asks, if that is more, and half a minute at the most", () => {
    expect(standby(1).pauseMs(1, 1_000, 0)).toBe(500);
    expect(standby(1).pauseMs(5_000, 1_000, 0)).toBe(5_000);
    expect(standby(1).pauseMs(5_000, 1_000, 1)).toBe(5_500);
    expect(standby(1).pauseMs(0xffff_ffff, 1_000, 0)).toBe(30_000);
    expect(standby(1).pauseMs(0xffff_ffff, 1_000, 1)).toBe(27_000);
  });
});
