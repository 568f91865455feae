/** The plain core under a link's machinery and a dial loop, on connections that the test makes, in virtual time. */
import { expect, test } from "vitest";
import { Dialer } from "../../src/client/dialer.ts";
import { DialGate } from "../../src/client/gate.ts";
import { resolveOpenOptions } from "../../src/client/options.ts";
import { type ReconnectOptions, RespliceError, type Undelivered } from "../../src/index.ts";
import { SYSTEM_ENTROPY } from "../../src/io/entropy.ts";
import { Driver } from "../../src/link/driver.ts";
import { LinkEngine } from "../../src/link/engine.ts";
import { LinkHandle } from "../../src/link/link.ts";
import type { Connection, ConnectionHandler } from "../../src/link/ports.ts";
import { PlainCore } from "../../src/plain/core.ts";
import type { PlainCoreOptions } from "../../src/plain/options.ts";
import { VirtualTime } from "../../src/testing/virtual-time.ts";
import { ownerOf } from "../link/owners.ts";
import { failure } from "../support.ts";
import { plainOptions } from "./support.ts";

/** A connection whose kernel takes everything at once, unless it is stuck. */
class Line implements Connection {
  handler: ConnectionHandler = { onData: () => undefined, onDrain: () => {}, onClosed: () => {} };
  readonly remoteAddress = "127.0.0.1:1";
  readonly roomBytes = 65_536;
  readonly pendingBytes = 0;
  readonly port: number;
  readonly atMs: number;
  written = "";
  isStuck = false;
  readonly #time: VirtualTime;

  constructor(time: VirtualTime, port: number) {
    this.#time = time;
    this.port = port;
    this.atMs = time.nowMs;
  }

  write(buffers: readonly Buffer[]): boolean {
    this.written += Buffer.concat(buffers).toString();
    if (!this.isStuck) this.#time.schedule(0, () => this.handler.onWritten?.());
    return false;
  }

  say(text: string): void {
    this.handler.onData(Buffer.from(text));
  }

  pause(): void {}
  resume(): void {}
  end(): void {}
  destroy(): void {}
}

const unframed = (thrown: unknown): Error =>
  new RespliceError("INVALID_ARGUMENT", `cannot be framed: ${String(thrown)}`);

function opened(changed: Partial<PlainCoreOptions> = {}, reconnect: ReconnectOptions = {}) {
  const time = new VirtualTime();
  const lines: Line[] = [];
  const core = new PlainCore(plainOptions({ encodeFailed: unframed, ...changed }), { random: () => 0 });
  const options = resolveOpenOptions({ endpoints: [{ port: 1 }, { port: 2 }], reconnect });
  const driver = new Driver(core, core, time);
  let ids = 0;
  const dialer = new Dialer({
    core,
    driver,
    options,
    host: {
      clock: time,
      gate: new DialGate(time, 64, 200),
      dial: async (endpoint) => {
        const line = new Line(time, (endpoint as { port: number }).port);
        lines.push(line);
        return line;
      },
      entropy: { ...SYSTEM_ENTROPY, random: () => 0.5 },
      journal: { record: () => {} } as never,
      nextId: () => ++ids,
    },
  });
  const { owner, changes } = ownerOf("plain", {
    endUnopened: () => core.endUnopened(),
    retryNow: () => dialer.retryNow(),
    hold: () => dialer.hold(),
    onStepComplete: () => dialer.check(),
    onEvent: (event) => dialer.onEvent(event),
  });
  const engine = new LinkEngine("plain", driver, options, owner);
  const link = new LinkHandle(engine);
  dialer.start(engine);
  return { time, lines, core, link, changes, newest: () => lines.at(-1) as Line };
}

test("a lost connection is reported, and the link goes on", async () => {
  const { time, link, newest, changes } = opened();
  const reports: Undelivered[] = [];
  link.on("undelivered", (report) => void reports.push(report));
  await time.advance(10);
  newest().isStuck = true;
  await link.send("one");
  const flushed = failure(link.flush());
  await time.advance(0);
  link.trySend("two");
  await time.advance(0);
  newest().handler.onClosed("ECONNRESET");
  await time.advance(1_000);
  expect(reports).toEqual([
    {
      reason: "connection-lost",
      sessionId: "",
      messages: [{ message: Buffer.from("one"), delivery: "maybe", position: undefined }],
    },
  ]);
  expect(await flushed).toMatchObject({ code: "CONNECTION_LOST", delivery: "maybe" });
  expect(newest().written).toBe("two\n");
  expect(link.stats().undelivered["connection-lost"]).toBe(1);
  expect(changes.map(({ to }) => to)).toEqual(["connecting", "connected", "reconnecting", "connecting", "connected"]);
  expect(await link.close()).toEqual({ undelivered: [], untracked: { messages: 1, bytes: 3 } });
});

test("a send() that waits until accepted is told itself, and no event tells of it again", async () => {
  const { time, link, newest } = opened({ requests: { maxInFlight: 9, maxAnswerBytes: 99 } });
  let events = 0;
  link.on("undelivered", () => void events++);
  await time.advance(10);
  const answered = link.send("one", { until: "accepted" });
  const lost = failure(link.send("two", { until: "accepted" }));
  await time.advance(0);
  newest().say("1\n");
  await answered;
  newest().handler.onClosed("ECONNRESET");
  await time.advance(0);
  expect(await lost).toMatchObject({ code: "CONNECTION_LOST", delivery: "maybe" });
  expect([events, link.stats().accepted]).toEqual([0, { messages: 1, bytes: 3 }]);
});

test("without a listener what was reported, and how much was let go, stays for close()", async () => {
  const { time, link, newest } = opened({ inDoubtBytes: 120 });
  for (const text of ["one", "two"]) {
    await time.advance(300);
    for (const each of [`${text} a`, `${text} b`]) link.trySend(each);
    await time.advance(1);
    newest().handler.onClosed("ECONNRESET");
  }
  await time.advance(300);
  const { undelivered, untracked } = await link.close();
  expect(undelivered.map(({ message }) => String(message))).toEqual(["one b", "two b"]);
  expect(untracked).toEqual({ messages: 2, bytes: 10 });
});

test("a message that cannot be framed is refused, also one that has waited for room", async () => {
  const { time, link } = opened({ queue: { maxMessages: 1, maxBytes: 1_000 } });
  expect(await failure(() => link.trySend("unframed"))).toMatchObject({
    message: expect.stringContaining("cannot be framed"),
  });
  expect(link.trySend("one")).toBe(true);
  const waiting = failure(link.send("unframed"));
  const next = link.send("two");
  await time.advance(500);
  expect(await waiting).toMatchObject({ message: expect.stringContaining("cannot be framed") });
  await next;
});

test("connections that bring nothing but poison are dialled as if the attempts had failed", async () => {
  const { time, lines, changes } = opened({}, { maxAttempts: 1_000 });
  for (let n = 0; n < 4_000; n++) {
    await time.advance(10);
    if (lines.length > 0) lines.at(-1)?.say("poison\n");
  }
  // As with dials that fail: a few tens in these 40 s, and not one in each tenth of a second.
  expect(lines.length).toBeLessThan(60);
  const attempts = changes.flatMap((change) => (change.to === "connecting" ? [change.attempt] : []));
  expect(attempts.at(-1)).toBe(lines.length);
}, 60_000);

test("after as many useless connections as attempts are allowed the link gives up", async () => {
  const { time, lines, link } = opened({}, { maxAttempts: 3 });
  for (let n = 0; n < 400; n++) {
    await time.advance(10);
    if (lines.length > 0) lines.at(-1)?.say("poison\n");
  }
  expect((await link.closed).error?.code).toBe("GAVE_UP");
  expect(lines).toHaveLength(3);
});

test("a connection that was of use, or has lasted, is dialled anew at once", async () => {
  const { time, lines, newest } = opened();
  await time.advance(10);
  newest().say("good\npoison\n");
  await time.advance(250);
  expect(lines).toHaveLength(2);
  await time.advance(60_000);
  newest().say("poison\n");
  await time.advance(250);
  expect(lines).toHaveLength(3);
});

test("after a message that says so another address is dialled", async () => {
  const { time, lines, newest } = opened({ reconnectWhen: (message) => message.includes("READONLY") });
  await time.advance(10);
  newest().say("hello\nREADONLY\n");
  await time.advance(500);
  expect(lines.map(({ port }) => port)).toEqual([1, 2]);
});

test("a connection that was closed for being unused is dialled without delay for the next message", async () => {
  const { time, lines, link, newest, changes } = opened({ idleCloseMs: 100 });
  await time.advance(1_000);
  expect([lines.length, link.state, changes.at(-1)?.reason]).toEqual([1, "idle", "idle"]);
  const fromMs = time.nowMs;
  link.trySend("one");
  await time.advance(1);
  expect([lines.length, newest().written, newest().atMs - fromMs]).toEqual([2, "one\n", 0]);
});

test("a connection that is replaced for its age is a new one to the application", async () => {
  const { time, lines, link, changes } = opened({ maxConnectionAgeMs: 100 });
  await time.advance(50);
  changes.length = 0;
  await time.advance(100);
  expect([lines.length, link.state]).toEqual([2, "connected"]);
  expect(changes).toMatchObject([
    { from: "connected", to: "connecting", reason: "aged" },
    { to: "connected", session: "new" },
  ]);
});
