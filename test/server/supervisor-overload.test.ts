/** A server on sockets whose resources are overloaded: what its clients, its log and its application see. */
import { expect, test, vi } from "vitest";
import type { OverloadReport, Resources, RespliceError } from "../../src/index.ts";
import { READING_LINE } from "../../src/io/reading-line.ts";
import { echo, eventually, logKeeper, openTo, receiveText, serve } from "../support.ts";
import { NONE_OF_PROCESS } from "./overload/support.ts";
import { lineClient, servePlain } from "./plain-servers.ts";

/** Only the application's resource is watched, which the test moves: whatever else the machine does. */
function moved(actions: readonly ["refuse-sessions" | "read-less" | "shed"]) {
  const level = { value: 0 };
  const rule = { low: 10, high: 20, dwellMs: 0, leaveMs: 0, actions, read: () => level.value };
  const resources: Resources = { ...NONE_OF_PROCESS, custom: { level: rule } };
  return { level, resources };
}

test("clients that are new are refused until it is over; events, log, health() and stats() say so", async () => {
  const { level, resources } = moved(["refuse-sessions"]);
  const { lines, logger } = logKeeper();
  const { supervisor, port } = await serve({ resources, logger }, echo);
  const reports: OverloadReport[] = [];
  supervisor.on("overload", (report) => void reports.push(report));
  const known = openTo(port);
  await known.connected();
  expect(supervisor.health()).toEqual({ status: "healthy", reasons: [] });
  level.value = 25;
  await eventually(() => expect(reports).toHaveLength(1));
  expect(supervisor.health()).toEqual({ status: "degraded", reasons: ["resources.level is overloaded: 25"] });
  expect(supervisor.stats().resources).toMatchObject({
    level: { state: "overloaded", observed: 25, low: 10, high: 20, holds: ["refuse-sessions"] },
  });
  const stranger = openTo(port, { reconnect: { maxAttempts: 0 } });
  const error = await stranger.connected().then(undefined, (thrown: unknown) => thrown as RespliceError);
  expect(error).toMatchObject({ code: "GAVE_UP", cause: { code: "OVERLOADED", retryable: true } });
  const { retryAfterMs = 0 } = (error as { cause: RespliceError }).cause;
  expect([retryAfterMs >= 5_000, retryAfterMs <= 10_000]).toEqual([true, true]);
  await known.send("still here");
  expect(await receiveText(known)).toBe("still here");
  level.value = 0;
  await eventually(() => expect(reports.at(-1)?.type).toBe("recover"));
  await openTo(port).connected();
  expect(supervisor.health().status).toBe("healthy");
  const told = lines.filter(({ event }) => event === "server.overload");
  expect(told.map(({ level: severity, message }) => [severity, message])).toEqual([
    ["warn", "overload: level: act refuse-sessions"],
    ["info", "overload: level: release refuse-sessions"],
    ["info", "overload: level: recover"],
  ]);
  expect(told[0]).toMatchObject({
    resource: "level",
    observed: 25,
    threshold: 20,
    ageMs: expect.any(Number),
    action: "refuse-sessions",
    victims: [],
    victimCount: 0,
    released: 0,
    dryRun: false,
  });
});

test("a dry run tells the same, and touches nobody", async () => {
  const { level, resources } = moved(["shed"]);
  const { supervisor, port, links } = await serve({ resources, dryRun: true });
  const reports: OverloadReport[] = [];
  supervisor.on("overload", (report) => void reports.push(report));
  const client = openTo(port);
  await client.connected();
  const { id } = await links.next();
  const changes: unknown[] = [];
  client.on("state", (change) => void changes.push(change));
  level.value = 25;
  await eventually(() => expect(reports[0]).toMatchObject({ action: "shed", victims: [id], dryRun: true }));
  expect([changes, supervisor.stats().shed]).toEqual([[], {}]);
});

test("a listener that throws, and one that closes the server, keep nothing from being taken back", async () => {
  const { level, resources } = moved(["read-less"]);
  const { supervisor, port } = await serve({ resources });
  await openTo(port).connected();
  const readLess = vi.spyOn(READING_LINE, "readLess");
  const uncaught = new Promise((resolve) => {
    process.once("uncaughtException", resolve);
  });
  supervisor.on("overload", () => {
    void supervisor.close({ deadlineMs: 0 });
    throw new Error("mine");
  });
  level.value = 25;
  expect(await uncaught).toMatchObject({ message: "mine" });
  await eventually(() => expect(supervisor.state).toBe("closed"));
  // Servers of other tests may be closing still, and share the line.
  const wanted = readLess.mock.calls.filter(([holder]) => holder === supervisor).map(([, isWanted]) => isWanted);
  expect([wanted[0], wanted.at(-1)]).toEqual([true, false]);
});

test("clients that are not resplice are closed, and let in when it is over", async () => {
  const { level, resources } = moved(["refuse-sessions"]);
  const { supervisor, port, links } = await servePlain({ resources });
  level.value = 25;
  await eventually(() => expect(supervisor.stats().resources["level"]?.state).toBe("overloaded"));
  await lineClient(port).ended;
  expect(supervisor.stats().refused).toEqual({ overloaded: 1 });
  level.value = 0;
  await eventually(() => expect(supervisor.health().status).toBe("healthy"));
  lineClient(port);
  await links.next();
});

test.each([
  [{ resources: { haep: {} } }, "resources.haep"],
  [{ resources: { heap: { low: 0.9, high: 0.8 } } }, "resources.heap.low"],
  [{ resources: { descriptors: { actions: ["close-idle"] } } }, "resources.descriptors.actions"],
  [{ dryRun: 1 }, "dryRun"],
])("%o is refused", async (options, name) => {
  await expect(serve(options as never)).rejects.toMatchObject({ code: "INVALID_OPTION", option: { name } });
});
