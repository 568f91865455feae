/** A process that is told to end: by events within this one, and by real signals to a process of its own. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:os";
import { describe, expect, onTestFinished, test } from "vitest";
import { type Closable, closeOnSignal, type CloseOnSignalOptions } from "../../src/index.ts";
import { Arrivals, echo, isPending, logKeeper, manage, openTo, refusal, serve } from "../support.ts";

/** Nobody else listens to it here. */
const SIGNAL = "SIGUSR2";
const INDEX_URL = new URL("../../src/index.ts", import.meta.url).href;

function signal(): void {
  process.emit(SIGNAL, SIGNAL);
}

function onSignal(closables: Closable | readonly Closable[], options: CloseOnSignalOptions = {}) {
  const exits = new Arrivals<number>();
  const giveBack = closeOnSignal(closables, { signals: [SIGNAL], exit: (code) => exits.put(code), ...options });
  onTestFinished(giveBack);
  return { exits, giveBack };
}

/** Says when it is closed, and ends when it is told to. */
function closable(name: string, said: unknown[] = [], report?: unknown): Closable {
  return {
    close: (options) => {
      said.push([name, options]);
      return Promise.resolve(report);
    },
  };
}

describe("a signal", () => {
  test("closes one after the other, each with the time that is left, and ends the process", async () => {
    const said: unknown[] = [];
    const first = Promise.withResolvers<void>();
    const { exits } = onSignal([closable("first", said, first.promise), closable("second", said)], {
      deadlineMs: 60_000,
      readyDelayMs: 10,
    });
    signal();
    expect(said).toEqual([["first", { deadlineMs: 60_000, readyDelayMs: 10 }]]);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(said).toHaveLength(1);
    first.resolve();
    expect(await exits.next()).toBe(0);
    expect(said[1]).toMatchObject(["second", { readyDelayMs: 0 }]);
    const [, { deadlineMs }] = said[1] as [string, { deadlineMs: number }];
    expect(deadlineMs).toBeLessThanOrEqual(59_985);
  });

  test.each<[string, unknown, number]>([
    ["nothing that is known of", undefined, 0],
    ["nothing", { left: 0, undelivered: [] }, 0],
    ["a link that was cut off", { left: 1, undelivered: [] }, 1],
    ["a message", { left: 0, undelivered: [{}] }, 1],
    ["a connection of one of several", [{ left: 0 }, { left: 2, ms: 1 }], 1],
  ])("left %s", async (_, report, code) => {
    const { exits } = onSignal(closable("it", [], report));
    signal();
    expect(await exits.next()).toBe(code);
  });

  test.each<[string, () => Promise<unknown>]>([
    ["rejects", () => Promise.reject(new Error("mine"))],
    [
      "throws",
      () => {
        throw new Error("mine");
      },
    ],
  ])("a close() that %s is logged, and the others are closed", async (_, close) => {
    const said: unknown[] = [];
    const { logger, lines } = logKeeper();
    const { exits } = onSignal([{ close }, closable("other", said)], { logger });
    signal();
    expect(await exits.next()).toBe(1);
    expect(said).toHaveLength(1);
    expect(lines).toMatchObject([
      { level: "info", event: "process.closing", signal: SIGNAL, deadlineMs: 5_000, readyDelayMs: 0 },
      { level: "error", event: "process.close-failed", message: "close() has failed: mine" },
      { level: "warn", event: "process.closed", code: 1, left: 0, undelivered: 0, failed: 1 },
    ]);
  });

  test("a close() that never ends is waited for two seconds longer than its deadline", async () => {
    const { logger, lines } = logKeeper();
    const hanging: Closable = { close: () => new Promise(() => {}) };
    const { exits } = onSignal(hanging, { deadlineMs: 0, logger });
    const beganMs = performance.now();
    signal();
    expect(await exits.next()).toBe(1);
    expect(performance.now() - beganMs).toBeGreaterThan(1_950);
    expect(lines[1]).toMatchObject({ event: "process.close-failed", err: { code: "CLOSE_TIMEOUT" } });
  });

  test("a second one ends the process at once, and only once", async () => {
    const { logger, lines } = logKeeper();
    const gate = Promise.withResolvers<void>();
    const said: unknown[] = [];
    const { exits } = onSignal([closable("slow", said, gate.promise), closable("other", said)], { logger });
    signal();
    signal();
    expect(await exits.next()).toBe(128 + constants.signals[SIGNAL]);
    expect(lines.at(-1)).toMatchObject({ level: "warn", event: "process.interrupted", signal: SIGNAL });
    gate.resolve();
    expect(await isPending(exits.next())).toBe(true);
    expect(said).toHaveLength(1);
  });

  test("is the system's again when the function that was answered has been called, and after the end", async () => {
    const before = process.listenerCount(SIGNAL);
    const { giveBack } = onSignal(closable("it"));
    expect(process.listenerCount(SIGNAL)).toBe(before + 1);
    giveBack();
    expect(process.listenerCount(SIGNAL)).toBe(before);
    const { exits } = onSignal(closable("it"));
    signal();
    await exits.next();
    expect(process.listenerCount(SIGNAL)).toBe(before);
  });

  test("closes a supervisor, and the links of a manager", async () => {
    const { supervisor, port } = await serve({}, echo);
    const manager = manage();
    const link = manager.open({ port, host: "127.0.0.1" });
    await link.send("delivered", { until: "accepted" });
    link.onMessage(() => {});
    const { exits } = onSignal([manager, supervisor]);
    signal();
    expect(await exits.next()).toBe(0);
    expect([supervisor.state, link.state]).toEqual(["closed", "closed"]);
  });

  test("says what a supervisor has cut off", async () => {
    const { supervisor, port, links } = await serve();
    await openTo(port).connected();
    (await links.next()).trySend("nobody reads");
    const { logger, lines } = logKeeper();
    const { exits } = onSignal(supervisor, { deadlineMs: 50, logger });
    signal();
    expect(await exits.next()).toBe(1);
    expect(lines.at(-1)).toMatchObject({ event: "process.closed", left: 1, undelivered: 1 });
  });
});

describe("what is refused", () => {
  const one = closable("one");
  test.each<[unknown]>([[[]], [undefined], [{}], [[one, { end: () => {} }]]])("%o", (closables) => {
    expect(refusal(() => closeOnSignal(closables as Closable)).code).toBe("INVALID_ARGUMENT");
  });

  test.each<[object, string]>([
    [{ signals: [] }, "signals"],
    [{ signals: "SIGTERM" }, "signals"],
    [{ signals: ["SIGTERM", "sigint"] }, "signals"],
    [{ signals: ["SIGKILL"] }, "signals"],
    [{ deadlineMs: -1 }, "deadlineMs"],
    [{ readyDelayMs: 6_000 }, "readyDelayMs"],
    [{ logger: {} }, "logger"],
    [{ exit: 0 }, "exit"],
    [{ deadline: 1 }, "deadline"],
  ])("%o", (options, name) => {
    const before = process.listenerCount("SIGTERM");
    expect(refusal(() => closeOnSignal(one, options))).toMatchObject({ code: "INVALID_OPTION", option: { name } });
    expect(process.listenerCount("SIGTERM")).toBe(before);
  });
});

describe("a process", () => {
  /** Runs a server until it listens. */
  async function start(handler: string) {
    const program = `
      import { closeOnSignal, ConnectionManager, ServerSupervisor } from ${JSON.stringify(INDEX_URL)};
      const supervisor = new ServerSupervisor({ port: 0, host: "127.0.0.1" });
      supervisor.serve(${handler});
      const { port } = await supervisor.listen();
      const manager = new ConnectionManager();
      const link = manager.open({ port, host: "127.0.0.1" });
      await link.send("hello", { until: "accepted" });
      const say = ({ event }) => void process.send(event);
      const logger = { debug: say, info: say, warn: say, error: say };
      closeOnSignal([supervisor, manager], { deadlineMs: 20_000, logger });
      say({ event: "ready" });
      process.channel.unref();`;
    const args = ["--no-warnings", "--input-type=module", "--eval", program];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    onTestFinished(() => void child.kill("SIGKILL"));
    await once(child, "message");
    return { child, exited: once(child, "exit") };
  }

  test("that hears SIGTERM ends in order", async () => {
    const { child, exited } = await start("(link) => link.onMessage(() => {})");
    child.kill("SIGTERM");
    expect(await exited).toEqual([0, null]);
  });

  test("that hears another ends at once", async () => {
    const { child, exited } = await start("async (link) => { await link.receive(); await new Promise(() => {}); }");
    child.kill("SIGTERM");
    expect((await once(child, "message"))[0]).toBe("process.closing");
    child.kill("SIGINT");
    expect(await exited).toEqual([130, null]);
  });
});
