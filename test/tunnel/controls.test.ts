import { expect, test } from "vitest";
import type { Link, LinkReport } from "../../src/index.ts";
import { Controls, MOST_CONTROLS } from "../../src/tunnel/controls.ts";

class FakeLink {
  readonly identity: string | undefined;
  readonly #closed = Promise.withResolvers<LinkReport>();
  readonly closed = this.#closed.promise;
  aborted = "";

  constructor(identity?: string) {
    this.identity = identity;
  }

  abort(code: string): void {
    this.aborted = code;
    this.#closed.resolve({ undelivered: [] });
  }

  get link(): Link {
    return this as unknown as Link;
  }
}

test("an identity has at most 1,024, and those that have ended make room", async () => {
  const controls = new Controls();
  const links = Array.from({ length: MOST_CONTROLS }, () => new FakeLink("many"));
  for (const { link } of links) expect(controls.add(link)).toBe(true);
  expect(controls.add(new FakeLink("many").link)).toBe(false);
  expect(controls.add(new FakeLink("other").link)).toBe(true);
  expect(controls.add(new FakeLink().link)).toBe(true);
  links[0]?.abort("gone");
  await links[0]?.closed;
  expect(controls.add(new FakeLink("many").link)).toBe(true);
  expect(controls.add(new FakeLink("many").link)).toBe(false);
});

test("all are ended", async () => {
  const controls = new Controls();
  const links = [new FakeLink("a"), new FakeLink("a"), new FakeLink()];
  for (const { link } of links) controls.add(link);
  controls.abort("far-end-closing");
  expect(links.map(({ aborted }) => aborted)).toEqual(["far-end-closing", "far-end-closing", "far-end-closing"]);
  await Promise.all(links.map(({ closed }) => closed));
  const more = new FakeLink("a");
  expect(controls.add(more.link)).toBe(true);
  controls.abort("again");
  expect(more.aborted).toBe("again");
});
