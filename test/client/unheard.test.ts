/** A link that is never connected, where nobody would hear of it. */
import { expect, onTestFinished, test, vi } from "vitest";
import { DialGate } from "../../src/client/gate.ts";
import { durableLink } from "../../src/client/durable-link.ts";
import { resolveOpenOptions } from "../../src/client/options.ts";
import { UnheardFailures } from "../../src/client/unheard.ts";
import { type Link, type OpenOptions } from "../../src/index.ts";
import { LinkMemory } from "../../src/io/budget.ts";
import type * as clock from "../../src/io/clock.ts";
import { DialError } from "../../src/io/dial-error.ts";
import { Journal } from "../../src/telemetry/journal.ts";
import { seeded, seededEntropy } from "../../src/testing/random.ts";
import { VirtualTime } from "../../src/testing/virtual-time.ts";
import { eventually, QUICK, rawServer } from "../support.ts";

/** The warnings of links that were never connected, from now on. */
function warnings(): Error[] {
  const given: Error[] = [];
  const keep = (warning: Error & { code?: string }): void => {
    if (warning.code === "RESPLICE_NEVER_CONNECTED") given.push(warning);
  };
  process.on("warning", keep);
  onTestFinished(() => void process.off("warning", keep));
  return given;
}

/** Links of one manager that dial in vain, in virtual time. */
function inVain() {
  const clock = new VirtualTime();
  onTestFinished(() => clock.stop());
  const entropy = seededEntropy(seeded(1));
  const unheard = new UnheardFailures();
  let ids = 0;
  const open = (options: OpenOptions = {}): Link => {
    const opened = durableLink(resolveOpenOptions({ port: 7, host: "127.0.0.1", ...options }), {
      clock,
      entropy,
      unheard,
      gate: new DialGate(clock, 10, 1_000),
      dial: () => Promise.reject(new DialError("failed", "connect ECONNREFUSED 127.0.0.1:7")),
      nextId: () => ++ids,
      memory: new LinkMemory(0),
      instance: "i",
      journal: new Journal(),
      onLeft: () => {},
      onBack: () => {},
      onEnded: () => {},
      onGone: () => {},
      onLost: () => {},
      onCloseCalled: () => {},
    });
    opened.dialer.start(opened.engine);
    return opened.link;
  };
  return { clock, open };
}

test("after a minute, once for a manager, with what was tried and heard", async () => {
  const given = warnings();
  const { clock, open } = inVain();
  const link = open();
  await clock.advance(59_000);
  expect(given).toEqual([]);
  await clock.advance(15_000);
  expect(given).toMatchObject([{ name: "RespliceWarning" }]);
  expect(given[0]?.message).toMatch(
    new RegExp(
      `^in 6\\d s and \\d+ attempts link ${link.id} was never connected\\. The last attempt: CONNECT_FAILED: ` +
        "connect ECONNREFUSED 127\\.0\\.0\\.1:7\\. Give the ConnectionManager a logger, or listen to 'state'",
    ),
  );
  open();
  await clock.advance(200_000);
  expect(given).toHaveLength(1);
});

test.each<[string, OpenOptions, (link: Link) => unknown]>([
  ["listens to 'state'", {}, (link) => link.on("state", () => {})],
  ["listens to 'error'", {}, (link) => link.on("error", () => {})],
  ["is asked whether to retry", { reconnect: { shouldRetry: () => true } }, () => {}],
])("never, where somebody %s", async (_, options, listen) => {
  const given = warnings();
  const { clock, open } = inVain();
  listen(open(options));
  await clock.advance(200_000);
  expect(given).toEqual([]);
});

test("the time for which a link is held does not count", async () => {
  const given = warnings();
  const { clock, open } = inVain();
  const link = open();
  await clock.advance(1_000);
  link.hold();
  await clock.advance(100_000);
  link.retryNow();
  await clock.advance(20_000);
  expect(given).toEqual([]);
});

/** A manager of its own modules, whose clock is a minute later from `later()` on. */
async function managerWithClock() {
  let offsetMs = 0;
  vi.resetModules();
  vi.doMock("../../src/io/clock.ts", async (original) => {
    const actual = await original<typeof clock>();
    class LaterClock extends actual.SystemClock {
      override now(): number {
        return super.now() + offsetMs;
      }
    }
    return { ...actual, SystemClock: LaterClock };
  });
  onTestFinished(() => {
    vi.doUnmock("../../src/io/clock.ts");
    vi.resetModules();
  });
  const { ConnectionManager } = await import("../../src/client/manager.ts");
  return { ConnectionManager, later: () => void (offsetMs = 61_000) };
}

test("a manager without a logger does so, and one with a logger never", async () => {
  const given = warnings();
  const { ConnectionManager, later } = await managerWithClock();
  const attempts = new Map<string, number>();
  const to = async (name: string): Promise<number> =>
    rawServer((socket) => {
      attempts.set(name, (attempts.get(name) ?? 0) + 1);
      socket.end("HTTP/1.1 400 Bad Request\r\n\r\n");
    });
  const nobody = { debug() {}, info() {}, warn() {}, error() {} };
  for (const [name, options] of Object.entries({ silent: {}, logged: { logger: nobody } })) {
    const manager = new ConnectionManager(options);
    onTestFinished(() => void manager.close({ deadlineMs: 0 }));
    manager.open({ port: await to(name), host: "127.0.0.1", reconnect: QUICK });
  }
  later();
  await eventually(() => expect(attempts.get("logged")).toBeGreaterThan(3));
  await eventually(() => expect(given).toHaveLength(1));
  expect(given[0]?.message).toContain(
    'what was heard is "HTTP/1.1 400 Bad Request\\r\\n\\r\\n", which looks like HTTP',
  );
  expect(given).toHaveLength(1);
});
