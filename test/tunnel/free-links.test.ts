import { expect, test } from "vitest";
import type { Link } from "../../src/index.ts";
import { FreeLinks, MOST_FREE } from "../../src/tunnel/free-links.ts";
import { ManualClock } from "../support.ts";

interface FakeLink {
  readonly identity: string | undefined;
  aborted: string;
}

function stage(): { free: FreeLinks; clock: ManualClock; add(many: number, identity?: string): FakeLink[] } {
  const clock = new ManualClock(0);
  const free = new FreeLinks(clock);
  const add = (many: number, identity?: string): FakeLink[] =>
    Array.from({ length: many }, () => {
      const link = {
        identity,
        aborted: "",
        abort(code: string): void {
          link.aborted = code;
          free.delete(link as unknown as Link);
        },
      };
      free.add(link as unknown as Link);
      return link;
    });
  return { free, clock, add };
}

const aborted = (links: readonly FakeLink[]): number =>
  links.filter(({ aborted: code }) => code === "too-many-spares").length;

test("of more than 1,024 of a client the oldest are aborted, when they have been free for ten seconds", () => {
  const { clock, add } = stage();
  const links = add(MOST_FREE + 3);
  clock.pass(9_999);
  expect(aborted(links)).toBe(0);
  clock.pass(1);
  expect(aborted(links.slice(0, 3))).toBe(3);
  expect(aborted(links)).toBe(3);
  expect(clock.isAwaited).toBe(false);
});

test("links that are opened for connections carry them before that, however many they are", () => {
  const { free, clock, add } = stage();
  const links = add(3 * MOST_FREE);
  clock.pass(5_000);
  for (const link of links) free.delete(link as unknown as Link);
  clock.pass(60_000);
  expect(aborted(links)).toBe(0);
});

test("those that come while others are awaited have ten seconds of their own", () => {
  const { clock, add } = stage();
  const old = add(MOST_FREE + 1);
  clock.pass(5_000);
  const young = add(MOST_FREE + 1);
  clock.pass(5_000);
  expect([aborted(old), aborted(young)]).toEqual([MOST_FREE + 1, 0]);
  clock.pass(10_000);
  expect([aborted(old), aborted(young)]).toEqual([MOST_FREE + 1, 1]);
});

test("each client has as many", () => {
  const { clock, add } = stage();
  const links = [...add(MOST_FREE, "a"), ...add(MOST_FREE, "b"), ...add(MOST_FREE)];
  clock.pass(60_000);
  expect(aborted(links)).toBe(0);
  expect(clock.isAwaited).toBe(false);
});

test("after close() none is awaited", () => {
  const { free, clock, add } = stage();
  add(MOST_FREE + 1);
  free.close();
  expect(clock.isAwaited).toBe(false);
});
