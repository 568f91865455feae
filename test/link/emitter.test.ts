import { expect, test } from "vitest";
import { CheckedEmitter } from "../../src/link/emitter.ts";

class Bell extends CheckedEmitter<{ ring: [times: number] }> {
  constructor() {
    super(new Set(["ring"]));
  }
}

test("whoever listens hears of it, once or each time", () => {
  const bell = new Bell();
  const heard: string[] = [];
  bell.on("ring", (times) => heard.push(`on ${times}`));
  bell.addListener("ring", (times) => heard.push(`listener ${times}`));
  bell.once("ring", (times) => heard.push(`once ${times}`));
  bell.emit("ring", 1);
  bell.emit("ring", 2);
  expect(heard).toEqual(["on 1", "listener 1", "once 1", "on 2", "listener 2"]);
});

test.each(["on", "addListener", "once"] as const)("%s() refuses an event that never comes", (method) => {
  const bell = new Bell();
  expect(() => bell[method]("rings" as "ring", () => {})).toThrow(/there is no event 'rings', only ring/);
  expect(bell.eventNames()).toEqual([]);
});
