import { EventEmitter } from "node:events";
import type { Server } from "node:net";
import { expect, test } from "vitest";
import { tap } from "../../src/supervise/tap.ts";

function server(): Server {
  return new EventEmitter() as unknown as Server;
}

test("hears each event before the listeners, and can keep it from them", () => {
  const tapped = server();
  const order: unknown[] = [];
  tapped.on("connection", (given) => order.push(["listener", given]));
  const end = tap(tapped, (name, first, second) => {
    order.push([name, first, second]);
    return first !== 2;
  });
  expect(tapped.emit("connection", 1)).toBe(true);
  expect(tapped.emit("connection", 2)).toBe(true);
  expect(tapped.emit("drop", 3, 4)).toBe(false);
  expect(order).toEqual([
    ["connection", 1, undefined],
    ["listener", 1],
    ["connection", 2, undefined],
    ["drop", 3, 4],
  ]);
  end();
  tapped.emit("connection", 2);
  expect(order.at(-1)).toEqual(["listener", 2]);
  expect(Object.hasOwn(tapped, "emit")).toBe(false);
});

test("an emit() of others stays, whether it came before or after", () => {
  const tapped = server();
  const heard: string[] = [];
  const wrap = (label: string): void => {
    const { emit } = tapped;
    tapped.emit = function wrapped(this: Server, ...args: unknown[]): boolean {
      heard.push(label);
      return Reflect.apply(emit, this, args) as boolean;
    };
  };
  wrap("before");
  const own = tapped.emit;
  const end = tap(tapped, () => heard.push("tap") > 0);
  end();
  expect(tapped.emit).toBe(own);
  const again = tap(tapped, () => heard.push("tap") > 0);
  wrap("after");
  tapped.emit("listening");
  expect(heard).toEqual(["after", "tap", "before"]);
  again();
  tapped.emit("listening");
  expect(heard.slice(3)).toEqual(["after", "before"]);
});
