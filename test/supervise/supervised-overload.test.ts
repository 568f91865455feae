/** A supervised server whose resources are overloaded: what its clients, its log and its application see. */
import http from "node:http";
import net from "node:net";
import { expect, onTestFinished, test, vi } from "vitest";
import { type OverloadReport, type Resources, supervise } from "../../src/index.ts";
import { fakeTime } from "../fake-time.ts";
import { NONE_OF_PROCESS } from "../server/overload/support.ts";
import { Arrivals, eventually, logKeeper, refusal, withUncaught } from "../support.ts";
import { GET, greeter, httpClient, idleClient, listening, supervisedServer } from "./servers.ts";

/** Only the application's resource is watched, which the test moves: whatever else the machine does. */
function moved(action: "refuse-sessions" | "shed") {
  const level = { value: 0 };
  const rule = { low: 10, high: 20, dwellMs: 0, leaveMs: 0, actions: [action], read: () => level.value };
  const resources: Resources = { ...NONE_OF_PROCESS, custom: { level: rule } };
  return { level, resources };
}

test("new clients are answered 503 until it is over; events, log, health() and stats() say so", async () => {
  const { level, resources } = moved("refuse-sessions");
  const { lines, logger } = logKeeper();
  const { supervised, port } = await supervisedServer(await greeter("http"), { resources, logger });
  const reports: OverloadReport[] = [];
  supervised.on("overload", (report) => void reports.push(report));
  const known = await idleClient(port);
  level.value = 25;
  await eventually(() => expect(reports).toHaveLength(1));
  expect(reports[0]).toMatchObject({ type: "act", action: "refuse-sessions", resource: "level", dryRun: false });
  expect(supervised.health()).toEqual({ status: "degraded", reasons: ["resources.level is overloaded: 25"] });
  expect(supervised.stats().resources).toMatchObject({
    level: { state: "overloaded", observed: 25, low: 10, high: 20, holds: ["refuse-sessions"] },
  });
  const refused = await httpClient(port);
  refused.socket.write(GET);
  await refused.closed;
  expect(refused.text).toMatch(/^HTTP\/1.1 503 Service Unavailable\r\nRetry-After: (?:[5-9]|10)\r\n/u);
  expect(supervised.stats()).toMatchObject({ refusedFor: { "overloaded: level": 1 }, turnedAway: {} });
  known.socket.write(GET);
  await known.until(/hello[^]*hello/u);
  level.value = 0;
  await eventually(() => expect(reports.at(-1)?.type).toBe("recover"));
  await idleClient(port);
  expect(supervised.health().status).toBe("healthy");
  expect(lines.filter(({ event }) => event === "server.overload").map(({ message }) => message)).toEqual([
    "overload: level: act refuse-sessions",
    "overload: level: release refuse-sessions",
    "overload: level: recover",
  ]);
});

test("a dry run names those that would be shed, and touches nobody; without it a request has its answer", async () => {
  for (const dryRun of [true, false]) {
    const { level, resources } = moved("shed");
    const requests = new Arrivals<http.ServerResponse>();
    const server = http.createServer((_, response) => requests.put(response));
    const { supervised, port } = await supervisedServer(server, { resources, dryRun });
    const reports: OverloadReport[] = [];
    supervised.on("overload", (report) => void reports.push(report));
    const client = await httpClient(port);
    client.socket.write(GET);
    const answer = await requests.next();
    level.value = 25;
    await eventually(() => expect(reports[0]).toMatchObject({ action: "shed", victims: ["127.0.0.1"], dryRun }));
    expect(supervised.stats().shed).toEqual(dryRun ? {} : { level: 1 });
    level.value = 0;
    answer.end("hello");
    await client.until(dryRun ? /keep-alive[^]*hello/iu : /connection: close[^]*hello/iu);
  }
});

test("bufferBytes is what waits to be written to all connections", async () => {
  const sockets = new Arrivals<net.Socket>();
  const server = net.createServer((socket) => sockets.put(socket.on("error", () => {})));
  const resources = { ...NONE_OF_PROCESS, bufferBytes: { dwellMs: 0 } };
  const options = { resources, limits: { bufferBytes: 10_000_000 } };
  const { supervised, port } = await supervisedServer(server, options);
  expect(supervised.stats().resources).toMatchObject({ bufferBytes: { state: "normal" } });
  const reports: OverloadReport[] = [];
  supervised.on("overload", (report) => void reports.push(report));
  const client = await httpClient(port);
  client.socket.pause();
  (await sockets.next()).write(Buffer.alloc(9_500_000));
  await eventually(() => expect(reports).toHaveLength(1));
  // What is about sessions and windows is passed over.
  expect(reports[0]).toMatchObject({ resource: "bufferBytes", limit: 10_000_000, action: "refuse-sessions" });
  expect(supervised.health().reasons).toEqual(["resources.bufferBytes is overloaded: 95 % of its limit"]);
});

test("resources are watched from listen() on, or from a first connection, and until close()", async () => {
  const { resources } = moved("shed");
  const before = net.createServer();
  const supervised = supervise(before, { resources });
  expect(supervised.stats().resources).toEqual({});
  await listening(before);
  expect(Object.keys(supervised.stats().resources)).toEqual(["level"]);
  await supervised.close();

  const after = net.createServer();
  await listening(after);
  await using late = supervise(after, { resources });
  expect(Object.keys(late.stats().resources)).toEqual(["level"]);

  const fed = net.createServer();
  await using elsewhere = supervise(fed, { resources });
  const socket = new net.Socket();
  onTestFinished(() => void socket.destroy());
  fed.emit("connection", socket);
  expect(Object.keys(elsewhere.stats().resources)).toEqual(["level"]);
});

test("close() ends the readings", async () => {
  fakeTime({ toFake: ["setInterval", "clearInterval"] });
  const supervised = supervise(net.createServer().listen(0, "127.0.0.1"), { resources: moved("shed").resources });
  await eventually(() => expect(vi.getTimerCount()).toBe(1));
  await supervised.close();
  expect(vi.getTimerCount()).toBe(0);
});

test("a listener that throws, and one that closes the server, keep nothing from ending", async () => {
  const { level, resources } = moved("refuse-sessions");
  const { supervised } = await supervisedServer(net.createServer(), { resources });
  const thrown = await withUncaught(async () => {
    supervised.on("overload", () => {
      void supervised.close({ deadlineMs: 0 });
      throw new Error("mine");
    });
    level.value = 25;
    await eventually(() => expect(supervised.stats().state).toBe("closed"));
  });
  expect(thrown).toMatchObject([{ message: "mine" }]);
  expect(refusal(() => supervised.on("overlaod" as never, () => {})).code).toBe("INVALID_ARGUMENT");
});
