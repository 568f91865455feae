import { describe, expect, test } from "vitest";
import { aloneMs, type LastAddress, Place } from "../../src/client/place.ts";
import { EndpointChooser } from "../../src/client/targets.ts";
import { type ErrorCode, RespliceError } from "../../src/index.ts";
import { Race } from "../../src/io/race.ts";
import { ManualClock } from "../support.ts";

const [A, B, C] = ["10.0.0.1", "10.0.0.2", "10.0.0.3"] as const;
const NAMED = { host: "db.example", port: 7 };
const OTHER = { host: "other.example", port: 7 };

/** The places of one link. */
function link() {
  const clock = new ManualClock(0);
  const chooser = new EndpointChooser("in-order");
  const place = (last?: LastAddress, endpoint = NAMED): Place => new Place(endpoint, chooser, clock, last);
  /** In which order the next dial of the endpoint takes its addresses. */
  const order = (...addresses: string[]): string[] => {
    const plan = place().plan(addresses);
    return [...plan.order, "|", ...plan.reserve];
  };
  const next = (): string => (chooser.choose([NAMED, OTHER], clock.now(), 0) === NAMED ? "the same" : "other");
  return { clock, chooser, place, order, next };
}

const because = (code: ErrorCode, cause?: unknown): RespliceError => new RespliceError(code, "", { cause });
const systemError = (code: string): Error => Object.assign(new Error(code), { code });
const REFUSED = systemError("ECONNREFUSED");

describe("an address that failed rests", () => {
  test("for 30 s, and is dialled before only if all others fail", () => {
    const { clock, place, order } = link();
    const dial = place();
    dial.plan([A, B, C]);
    dial.failed(A, REFUSED, false);
    dial.connected(B);
    dial.proved();
    expect(order(A, B, C)).toEqual([B, C, "|", A]);
    clock.pass(30_000);
    expect(order(A, B, C)).toEqual([A, B, C, "|"]);
  });

  test("also if TLS or the handshake on its connection failed", () => {
    const { place, order, next } = link();
    const dial = place();
    dial.plan([A, B]);
    dial.dialled(A);
    dial.connected(A);
    dial.gaveUp(because("CERTIFICATE_INVALID"));
    expect(order(A, B)).toEqual([B, "|", A]);
    // There is another address, and so the endpoint is as good as before.
    expect(next()).toBe("the same");
  });

  test("and if it has not answered when the time was over; those that were not dialled do not", () => {
    const { place, order } = link();
    const dial = place();
    dial.plan([A, B, C]);
    dial.dialled(A);
    dial.dialled(B);
    dial.failed(B, REFUSED, false);
    dial.gaveUp(because("TIMED_OUT"));
    expect(order(A, B, C)).toEqual([C, "|", A, B]);
  });

  test("not if another was connected before it could answer", () => {
    const { place, order } = link();
    const dial = place();
    dial.plan([A, B]);
    dial.dialled(A);
    dial.dialled(B);
    dial.connected(B);
    dial.gaveUp(because("TIMED_OUT"));
    expect(order(A, B)).toEqual([A, "|", B]);
  });

  test("when all rest, the one that failed longest ago is first", () => {
    const { clock, place, order } = link();
    for (const address of [B, C, A]) {
      place().failed(address, REFUSED, false);
      clock.pass(10);
    }
    expect(order(A, B, C)).toEqual([B, C, A, "|"]);
  });

  test("and with the last of its addresses the endpoint", () => {
    const { place, next } = link();
    const dial = place();
    dial.plan([A, B]);
    dial.failed(A, REFUSED, false);
    expect(next()).toBe("the same");
    dial.failed(B, REFUSED, false);
    dial.gaveUp(because("CONNECT_FAILED", REFUSED));
    expect(next()).toBe("other");
  });

  test("an endpoint whose name was not found rests", () => {
    const { place, next } = link();
    place().gaveUp(because("CONNECT_FAILED", systemError("ENOTFOUND")));
    expect(next()).toBe("other");
  });

  test("the same address at another port does not", () => {
    const { chooser, clock, place } = link();
    place().failed(A, REFUSED, false);
    const plan = new Place({ host: A, port: 8 }, chooser, clock).plan([A, B]);
    expect(plan.order).toEqual([A, B]);
  });

  test("until it is connected to", () => {
    const { place, order } = link();
    const dial = place();
    dial.plan([A, B]);
    dial.failed(A, REFUSED, false);
    const again = place();
    again.connected(A);
    again.proved();
    expect(order(A, B)).toEqual([A, B, "|"]);
  });

  test("a server that goes away rests, with the endpoint if it has no other address", () => {
    const { place, order, next } = link();
    const dial = place();
    dial.plan([A]);
    dial.connected(A);
    dial.leave();
    expect(order(A, B)).toEqual([B, "|", A]);
    expect(next()).toBe("other");
  });
});

describe("where there is no way to an address", () => {
  const NO_WAY = systemError("ENETUNREACH");

  test("nothing rests while this machine has no network, and the next dial goes elsewhere", () => {
    const { place, order, next } = link();
    const dial = place();
    dial.plan([A, B]);
    dial.failed(A, NO_WAY, true);
    dial.failed(B, NO_WAY, true);
    dial.gaveUp(because("CONNECT_FAILED", NO_WAY));
    expect(order(A, B)).toEqual([A, B, "|"]);
    expect([next(), next()]).toEqual(["other", "the same"]);
  });

  test("an endpoint rests if its other addresses have failed", () => {
    const { place, order, next } = link();
    const dial = place();
    dial.plan([A, B]);
    dial.failed(A, NO_WAY, true);
    dial.failed(B, REFUSED, false);
    dial.gaveUp(because("CONNECT_FAILED", NO_WAY));
    expect(order(A, B)).toEqual([A, "|", B]);
    expect([next(), next()]).toEqual(["other", "other"]);
  });

  test.each([
    ["ENETUNREACH", false],
    ["EHOSTUNREACH", false],
    ["EHOSTUNREACH", true],
  ])("the address rests if a router may have said so: %s, at once: %j", (code, isAtOnce) => {
    const { place, order } = link();
    const dial = place();
    dial.plan([A, B]);
    dial.failed(A, systemError(code), isAtOnce);
    expect(order(A, B)).toEqual([B, "|", A]);
  });
});

describe("nothing rests", () => {
  test.each(["EMFILE", "ENFILE", "EADDRNOTAVAIL", "ENOBUFS", "ENETDOWN"])("by a fault of this machine: %s", (code) => {
    const { place, order, next } = link();
    const dial = place();
    dial.plan([A, B]);
    dial.failed(A, systemError(code), false);
    expect(order(A, B)).toEqual([A, B, "|"]);
    dial.failed(B, systemError(code), false);
    dial.gaveUp(because("CONNECT_FAILED", systemError(code)));
    expect(order(A, B)).toEqual([A, B, "|"]);
    // Only the next dial goes elsewhere: the fault may be always the same for this endpoint.
    expect([next(), next()]).toEqual(["other", "the same"]);
  });

  test.each<ErrorCode>(["LINK_ENDED", "ABORTED"])("when the link takes the dial back: %s", (code) => {
    const { place, order, next } = link();
    const dial = place();
    dial.plan([A, B]);
    dial.dialled(A);
    dial.connected(A);
    dial.gaveUp(because(code));
    expect(order(A, B)).toEqual([A, B, "|"]);
    expect(next()).toBe("the same");
  });
});

describe("the address that the link was connected to last", () => {
  test("is first, and alone for as long as it is given", () => {
    const { place } = link();
    expect(place({ address: C, aloneMs: 1_250 }).plan([A, B, C])).toEqual({
      order: [C, A, B],
      reserve: [],
      aloneMs: 1_250,
    });
  });

  test("also where all rest, if only it may have the session", () => {
    const { clock, place } = link();
    for (const address of [A, B]) {
      place().failed(address, REFUSED, false);
      clock.pass(10);
    }
    const lead = { order: [B, A], reserve: [], aloneMs: 1_250 };
    expect(place({ address: B, aloneMs: 1_250 }).plan([A, B])).toEqual(lead);
    expect(place({ address: B, aloneMs: 0 }).plan([A, B])).toMatchObject({ order: [A, B], aloneMs: 0 });
  });

  test("not if it rests, or is none of the endpoint's any more", () => {
    const { place } = link();
    expect(place({ address: "10.9.9.9", aloneMs: 1_250 }).plan([A, B])).toMatchObject({ order: [A, B], aloneMs: 0 });
    place().failed(B, REFUSED, false);
    expect(place({ address: B, aloneMs: 1_250 }).plan([A, B])).toEqual({ order: [A], reserve: [B], aloneMs: 0 });
  });

  test.each([
    [undefined, 1_250],
    [20, 1_250],
    [250, 1_250],
    [600, 2_650],
  ])("with a round trip of %j ms it is alone for %i ms", (rttMs, ms) => {
    expect(aloneMs(rttMs)).toBe(ms);
  });

  test.each([5, 100, 240, 600, 2_000])("wins though its first SYN is lost: a round trip of %i ms", async (rttMs) => {
    const { clock, place } = link();
    const plan = place({ address: A, aloneMs: aloneMs(rttMs) }).plan([B, A]);
    // The kernel repeats the SYN after a second; the other server is nearer.
    const race = new Race<string>(plan, clock, (address, connected) => {
      const timer = clock.timer(() => connected(address));
      timer.set(clock.now() + (address === A ? 1_000 + rttMs : 1));
      return () => timer.clear();
    });
    const winner = race.run();
    for (let ms = 0; ms < 10_000; ms++) clock.pass(1);
    expect(await winner).toMatchObject({ address: A });
  });
});
