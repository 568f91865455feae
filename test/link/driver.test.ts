/** The order of a step, with the core of a plain link and a connection in memory. */
import { expect, test } from "vitest";
import { Driver } from "../../src/link/driver.ts";
import type { Connection } from "../../src/link/ports.ts";
import { PlainCore } from "../../src/plain/core.ts";
import type { PlainCoreOptions } from "../../src/plain/options.ts";
import { plainOptions } from "../plain/support.ts";

/** A driver whose time and timer a test moves by hand, and what its hooks are told. */
function driven(changed: Partial<PlainCoreOptions>, isTaken = false) {
  const at = { nowMs: 0, tick: () => {}, dueMs: Infinity };
  const spread: Array<() => void> = [];
  const written: string[] = [];
  const core = new PlainCore(plainOptions(changed), { random: () => 0 });
  const driver = new Driver(core, core, {
    now: () => at.nowMs,
    wallMs: () => 0,
    defer: () => {},
    afterPoll: () => {},
    spread: (run, of) => void spread.push(() => run(of)),
    timer: (run, of) => {
      at.tick = () => run(of as NonNullable<typeof of>);
      const set = (dueMs: number): void => void (at.dueMs = dueMs);
      return { set, clear: () => set(Infinity), holdProcess() {} };
    },
  });
  const told: string[] = [];
  driver.hooks = {
    onEvent: ({ type }) => void told.push(type),
    onProgress: () => void told.push(`${core.queuedMessages} wait`),
    isRoomAwaited: false,
    hasHandedEnough: false,
    onStepComplete: () => {},
  };
  const connection: Connection = {
    handler: { onData: () => undefined, onDrain: () => {}, onClosed: () => {} },
    remoteAddress: "",
    roomBytes: 65_536,
    pendingBytes: 0,
    write: (chunks) => {
      written.push(Buffer.concat(chunks).toString());
      return isTaken;
    },
    pause: () => {},
    resume: () => {},
    end: () => {},
    destroy: () => {},
  };
  core.connectionOpened(1, "primary", Buffer.alloc(0), at.nowMs);
  driver.attach(1, connection);
  const send = (text: string): void => {
    core.take(text, text.length, false, "taken");
    core.bind();
  };
  return { at, connection, core, driver, told, send, spread, written };
}

test("a message is written in one step", () => {
  const { driver, told, send } = driven({});
  send("one");
  driver.run();
  expect(told).toEqual(["connected", "1 wait"]);
});

test("what the kernel has taken at once is written in that step, and what waits for it is looked at in the next", () => {
  const { core, driver, told, send } = driven({}, true);
  driver.run();
  told.length = 0;
  send("one");
  const ticket = core.ticket("everything");
  expect(core.unackedBytes).toBe(3);
  driver.run();
  expect([core.unackedBytes, told]).toEqual([0, ["1 wait", "0 wait"]]);
  expect(core.takeDelivered()).toEqual([ticket]);
});

const GONE = ["1 wait", "disconnected", "connection-lost", "0 wait"];

test("a connection that is closed in place of a write: the calls that wait are looked at again", () => {
  const { at, driver, told, send } = driven({ idleCloseMs: 1_000 });
  driver.run();
  at.nowMs = 5_000;
  send("late");
  told.length = 0;
  driver.run();
  expect(told).toEqual(GONE);
});

test("the same with a connection that is given up, as its probe cannot be framed", () => {
  const { at, core, driver, told, send } = driven({
    requests: { maxInFlight: 1, maxAnswerBytes: 1_000 },
    probe: { message: Buffer.from("unframed"), proves: false },
    pingAfterMs: 1_000,
  });
  send("first");
  driver.run();
  core.written(1);
  send("waits");
  at.nowMs = 1_000;
  told.length = 0;
  at.tick();
  expect(told).toEqual(GONE);
});

const PROBED = { probe: { message: Buffer.from("PING"), proves: false }, pingAfterMs: 0, deadAfterMs: 500 };

test("ping() is written in a turn of its own, as very many links may be asked in one, and is awaited from now on", () => {
  const { at, driver, spread, written } = driven(PROBED);
  driver.run();
  at.nowMs = 100;
  driver.ping();
  driver.ping();
  expect([spread.length, written]).toEqual([1, []]);
  at.nowMs = 150;
  spread.shift()?.();
  expect([written, at.dueMs]).toEqual([["PING\n"], 650]);
});

test("ping() does nothing without a connection, nor once the driver was stopped", () => {
  const { at, driver, spread, written } = driven(PROBED);
  driver.run();
  driver.ping();
  driver.stop();
  driver.ping();
  spread.shift()?.();
  expect([spread.length, written, at.dueMs]).toEqual([0, [], Infinity]);
  const another = driven(PROBED);
  another.driver.drop(1, "cut");
  another.driver.ping();
  expect(another.spread).toEqual([]);
});

test("what is taken between hold() and writeHeld() is written at once, before the rest of the step", () => {
  const { driver, told, send, written } = driven({});
  driver.run();
  told.length = 0;
  expect(driver.hold()).toBe(true);
  send("one");
  driver.changed("writes");
  expect(written).toEqual([]);
  driver.writeHeld();
  expect([written, told]).toEqual([["one\n"], ["0 wait"]]);
});

test("without a change between hold() and writeHeld() there is no step", () => {
  const { driver, told } = driven({});
  driver.run();
  told.length = 0;
  driver.hold();
  driver.writeHeld();
  expect(told).toEqual([]);
});

test("within a step nothing can be held", () => {
  const { driver } = driven({});
  const held: boolean[] = [];
  Object.assign(driver.hooks ?? {}, { onProgress: () => void held.push(driver.hold()) });
  driver.run();
  expect(held).toEqual([false]);
});

test("chunks that were read together make one step", () => {
  const { connection, core, driver, told } = driven({});
  driver.run();
  told.length = 0;
  expect(connection.handler.onData(Buffer.from("one\ntwo"), true)).toBeUndefined();
  expect([core.hasUnread, told]).toEqual([true, []]);
  connection.handler.onData(Buffer.from("\n"));
  expect(told).toEqual(["0 wait"]);
});
