/** Every call of the public face that takes options: what is no object with options, and what is misspelled. */
import http from "node:http";
import { PassThrough } from "node:stream";
import { expect, onTestFinished, test } from "vitest";
import {
  closeOnSignal,
  ConnectionManager,
  monitor,
  plain,
  prometheus,
  routeConnections,
  ServerSupervisor,
  srv,
  supervise,
} from "../src/index.ts";
import { faultRelay, linkPair } from "../src/testing/index.ts";
import { failure, manage, pair } from "./support.ts";

type Call = (options: never) => unknown;

/** By their names, and with objects that the test closes. */
async function calls(): Promise<Record<string, Call>> {
  const { client: link, manager, supervisor } = await pair({ queue: { ttlMs: Infinity } });
  const closing = manage();
  const listening = new ServerSupervisor({ port: 0 });
  listening.serve(() => {});
  const seen = monitor({ port: 0, sources: [closing] });
  const supervised = supervise(http.createServer());
  const { path } = linkPair();
  onTestFinished(async () => {
    await Promise.all([seen.close(), supervised.close(), listening.close()]);
  });
  return {
    "link.send": (options) => link.send("x", options),
    "link.trySend": (options) => link.trySend("x", options),
    "link.ready": (options) => link.ready(options),
    "link.flush": (options) => link.flush(options),
    "link.clear": (options) => link.clear(options),
    "link.receive": (options) => link.receive(options),
    "link.connected": (options) => link.connected(options),
    "link.close": (options) => link.close(options),
    "new ConnectionManager": (options) => new ConnectionManager(options),
    "manager.open": (options) => manager.open(options),
    "manager.connected": (options) => manager.connected(options),
    "manager.close": (options) => closing.close(options),
    "new ServerSupervisor": (options) => new ServerSupervisor(options),
    "supervisor.listen": (options) => listening.listen(options),
    "supervisor.accept": (options) => supervisor.accept(new PassThrough(), options),
    "supervisor.setAccess": (options) => supervisor.setAccess(options),
    "supervisor.setLimits": (options) => supervisor.setLimits(options),
    "supervisor.close": (options) => listening.close(options),
    supervise: (options) => supervise(http.createServer(), options),
    "supervised.close": (options) => supervised.close(options),
    closeOnSignal: (options) => closeOnSignal(closing, options),
    routeConnections: (options) => routeConnections(options),
    srv: (options) => srv("_x._tcp.example.com", options),
    prometheus: (options) => prometheus(options),
    monitor: (options) => monitor(options),
    "monitor.listening": (options) => seen.listening(options),
    plain: (options) => plain(options),
    linkPair: (options) => linkPair(options),
    faultRelay: (options) => faultRelay(options),
    "path.stall": (options) => path.stall(options),
    "path.blackHole": (options) => path.blackHole(options),
    "path.latency": (options) => path.latency(1, options),
    "path.cutAfterBytes": (options) => path.cutAfterBytes(1, options),
  };
}

const NO_OPTIONS: ReadonlyArray<[string, unknown]> = [
  ["null", null],
  ["a port", 7000],
  ["an address", "host:1"],
  ["a list", [7000]],
  ["a signal by itself", AbortSignal.timeout(60_000)],
];

/** These throw, though they return a promise: it never rejects. */
const THROWING = new Set(["link.close", "manager.close", "supervisor.close", "supervised.close"]);

test("what is no object with options is refused by each of them", async () => {
  for (const [name, call] of Object.entries(await calls())) {
    for (const [what, given] of NO_OPTIONS) {
      const error = await failure(() => call(given as never));
      expect([name, what, ["INVALID_ARGUMENT", "INVALID_OPTION"].includes(error.code)]).toEqual([name, what, true]);
    }
  }
});

test("so is an option that there is not, by its name", async () => {
  for (const [name, call] of Object.entries(await calls())) {
    const { code, option, message } = await failure(() => call({ timeoutMs: 5 } as never));
    expect([name, code, option?.name.endsWith("timeoutMs")]).toEqual([name, "INVALID_OPTION", true]);
    expect(message).toMatch(/there is no option \S*timeoutMs.*; allowed: \w+/u);
  }
});

test("and a signal that is none, by each call that waits", async () => {
  for (const [name, call] of Object.entries(await calls())) {
    if (!/\.(send|ready|flush|receive|connected|close|listen|listening)$/u.test(name)) continue;
    const error = await failure(() => call({ signal: 1 } as never));
    expect([name, error.code, error.option]).toEqual([
      name,
      "INVALID_OPTION",
      { name: "signal", value: 1, allowed: "an AbortSignal" },
    ]);
  }
});

test("a call that returns a promise rejects, but for close()", async () => {
  for (const [name, call] of Object.entries(await calls())) {
    if (!/^\w+\.(send|ready|flush|receive|connected|close|listen|listening)$/u.test(name)) continue;
    let isThrown = false;
    try {
      await (call({ timeoutMs: 5 } as never) as Promise<unknown>).catch(() => {});
    } catch {
      isThrown = true;
    }
    expect([name, isThrown]).toEqual([name, THROWING.has(name)]);
  }
});

test("a link has no readiness that could be delayed", async () => {
  const { client } = await pair();
  const wrong = { readyDelayMs: 5 } as never;
  expect((await failure(() => client.close(wrong))).message).toContain("there is no option readyDelayMs");
});

test("a constructor and open() without anything say what they take", async () => {
  const manager = manage();
  const [open, Supervisor] = [manager.open, ServerSupervisor] as unknown as [() => unknown, new () => unknown];
  expect((await failure(() => open.call(manager))).message).toBe(
    'open() takes an object with options, such as { host: "10.0.0.7", port: 7000 }, and not undefined',
  );
  expect((await failure(() => new Supervisor())).message).toBe(
    "new ServerSupervisor() takes an object with options, such as { port: 7000 }, and not undefined",
  );
});

test("nothing has changed: the link goes on", async () => {
  const { client, server } = await pair();
  await failure(() => client.abort(new Error("mine") as never));
  await failure(() => client.close({ timeoutMs: 5 } as never));
  await failure(client.receive({ timeoutMs: 5 } as never));
  await client.send("still here");
  expect(String(await server.receive())).toBe("still here");
  expect(client.stats().taken.messages).toBe(1);
});
