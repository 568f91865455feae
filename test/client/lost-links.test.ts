import { expect, test } from "vitest";
import { type LostLink, LostLinks } from "../../src/client/lost-links.ts";
import { RespliceError } from "../../src/index.ts";

function lost(id: string): LostLink {
  return { id, error: new RespliceError("GAVE_UP", id) };
}

test("the last link of each destination, until it is replaced or closed", () => {
  const links = new LostLinks();
  const [one, again, other] = [lost("one"), lost("again"), lost("other")];
  links.add("a:1", one);
  links.add("b:1", other);
  links.add("a:1", again);
  expect(links.all).toEqual([other, again]);
  links.closed("a:1", one.id);
  expect(links.size).toBe(2);
  links.closed("a:1", again.id);
  links.replaced("c:1");
  expect(links.all).toEqual([other]);
  links.replaced("b:1");
  expect(links.size).toBe(0);
});

test("a hundred destinations: the first to end is forgotten", () => {
  const links = new LostLinks();
  for (let n = 0; n <= 100; n++) links.add(`host:${n}`, lost(String(n)));
  expect([links.size, links.all[0]?.id]).toEqual([100, "1"]);
});
