import { mock } from "node:test";
import { expect, onTestFinished, test, vi } from "vitest";
import { ConnectionManager, ServerSupervisor } from "../src/index.ts";
import { faultRelay } from "../src/testing/index.ts";
import { realTime } from "../src/real-time.ts";
import { echo, heard, QUICK, receiveText, WATCHFUL } from "./support.ts";

/** What a test runner puts in place of the globals. */
const RUNNERS: ReadonlyArray<readonly [name: string, install: () => void]> = [
  ["vitest, by default", () => void vi.useFakeTimers()],
  [
    "vitest, all that it has",
    () =>
      void vi.useFakeTimers({
        toFake: [
          "setTimeout",
          "clearTimeout",
          "setInterval",
          "clearInterval",
          "setImmediate",
          "clearImmediate",
          "queueMicrotask",
          "performance",
          "hrtime",
          "Date",
        ],
      }),
  ],
  ["node:test, all that it has", () => mock.timers.enable()],
];

/** A service that is made, used, and closed. Nothing in here waits for time of its own. */
async function useService(): Promise<void> {
  const supervisor = new ServerSupervisor({ port: 0, host: "127.0.0.1" });
  supervisor.serve(echo);
  const { port } = await supervisor.listen();
  const relay = await faultRelay({ port });
  const manager = new ConnectionManager();
  const link = manager.open({ port: relay.port, host: "localhost", reconnect: QUICK, keepalive: WATCHFUL });
  await link.connected();
  await link.send("hello");
  expect(await receiveText(link)).toBe("hello");

  // It is dialled again after a delay.
  const lost = heard(link, "state");
  relay.cut("rst");
  expect(await lost).toMatchObject({ to: "reconnecting" });
  await link.connected();

  // The next PING is not answered, which is noticed, and another connection takes over.
  const silent = heard(link, "state");
  relay.blackHole();
  expect(await silent).toMatchObject({ to: "suspect", reason: "no evidence" });
  relay.heal();
  await link.connected();
  await link.send("still there");
  expect(await receiveText(link)).toBe("still there");

  await manager.close();
  await supervisor.close();
  await relay.close();
}

test.each(RUNNERS)("links go on under the fake timers of %s", async (_, install) => {
  onTestFinished(() => {
    vi.useRealTimers();
    mock.timers.reset();
  });
  install();
  await useService();
});

test("a clock whose method is replaced in place is the real one still", () => {
  onTestFinished(() => void vi.restoreAllMocks());
  vi.spyOn(performance, "now").mockReturnValue(-1);
  vi.spyOn(Date, "now").mockReturnValue(-1);
  expect(realTime.now()).toBeGreaterThan(0);
  expect(realTime.wallMs()).toBeGreaterThan(0);
});

test("nothing in src takes a timer from elsewhere", async () => {
  const { readdir, readFile } = await import("node:fs/promises");
  const root = new URL("../src/", import.meta.url);
  const names = (await readdir(root, { recursive: true })).filter((name) => name.endsWith(".ts"));
  const taking = [];
  for (const name of names) {
    if (name.startsWith("cli/") || name === "real-time.ts") continue;
    // An example in a comment may show the global that applications have.
    const text = (await readFile(new URL(name, root), "utf8")).replaceAll(/^ *\*.*$/gmu, "");
    if (/from "(?:node:)?timers|AbortSignal\.timeout/u.test(text)) taking.push(name);
  }
  expect(taking).toEqual([]);
});
