import { expect, test } from "vitest";
import { Routes } from "../../../src/core/server/routes.ts";

const ANY = (): boolean => true;

function routes(...servers: ReadonlyArray<[serverId: string, worker: string]>): Routes<string> {
  const all = new Routes<string>();
  for (const [serverId, worker] of servers) all.add(serverId, worker);
  return all;
}

function picked(all: Routes<string>, named?: string, hasRoom: (worker: string) => boolean = ANY): string {
  const route = all.pick(named, hasRoom);
  return typeof route === "string" ? route : route.serverId;
}

test("whoever names no server goes to each in turn", () => {
  const all = routes(["a", "1"], ["b", "2"], ["c", "3"]);
  expect(Array.from({ length: 6 }, () => picked(all))).toEqual(["a", "b", "c", "a", "b", "c"]);
});

test("whoever names one goes there, and takes nobody's turn", () => {
  const all = routes(["a", "1"], ["b", "2"]);
  expect([picked(all, "b"), picked(all, "b"), picked(all), picked(all)]).toEqual(["b", "b", "a", "b"]);
});

test("a server that has ended: any other answers that its session is lost", () => {
  const all = routes(["a", "1"], ["b", "2"], ["b2", "2"]);
  all.gone("2");
  expect([picked(all, "b"), picked(all, "b2"), picked(all)]).toEqual(["a", "a", "a"]);
  all.remove("a", "1");
  expect([picked(all, "a"), all.open]).toEqual(["nobody", 0]);
});

test("one that drains gets only connections that name it", () => {
  const all = routes(["a", "1"], ["b", "2"]);
  all.drain("a", "1");
  expect([picked(all), picked(all), picked(all, "a"), all.open]).toEqual(["b", "b", "a", 1]);
  all.drain("b", "2");
  expect([picked(all), picked(all, "gone"), picked(all, "b")]).toEqual(["nobody", "nobody", "b"]);
});

test("a worker without room: its own come later, and the others go on to the next", () => {
  const all = routes(["a", "1"], ["b", "2"]);
  const hasRoom = (worker: string): boolean => worker !== "1";
  expect([picked(all, "a", hasRoom), picked(all, undefined, hasRoom)]).toEqual(["busy", "b"]);
  expect(picked(all, undefined, () => false)).toBe("busy");
  // It has not lost its turn.
  expect(picked(all)).toBe("a");
});

test("a worker cannot speak for another one's server", () => {
  const all = routes(["a", "1"]);
  all.drain("a", "2");
  all.remove("a", "2");
  all.gone("2");
  expect([picked(all), all.open]).toEqual(["a", 1]);
});
