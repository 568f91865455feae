import { duplexPair, type Duplex } from "node:stream";
import { expect, test } from "vitest";
import { SYSTEM_ENTROPY } from "../../../src/io/entropy.ts";
import { ForwardAttempt, type ForwardOutcome } from "../../../src/server/forward/attempt.ts";
import {
  encodeAnswer,
  encodeGreeting,
  encodePreamble,
  type Macs,
  type Preamble,
} from "../../../src/server/forward/preamble.ts";
import { eventually, ManualClock } from "../../support.ts";

const MACS: Macs = { key: Buffer.alloc(32, 1), entropy: SYSTEM_ENTROPY };
const GREETED = Buffer.alloc(16, 3);
const PREAMBLE: Preamble = {
  serverId: "0123456789ab",
  nonce: Buffer.alloc(16, 4),
  remoteAddress: "10.0.0.1",
  certificate: Buffer.alloc(0),
};

function setUp(preamble: Preamble = PREAMBLE) {
  const clock = new ManualClock(0);
  const [near, far] = duplexPair();
  const outcomes: ForwardOutcome[] = [];
  const heard: Buffer[] = [];
  far.on("data", (chunk: Buffer) => heard.push(chunk)).on("error", () => {});
  const attempt = new ForwardAttempt(preamble, MACS, { clock, withinMs: 2_000 }, (outcome) => outcomes.push(outcome));
  attempt.begin({ socket: near, isGone: ({ code }) => code === "ENOENT" });
  return { clock, near, far, outcomes, heard, attempt };
}

/** The other server, as far as its greeting. */
async function greet({ far, heard }: { far: Duplex; heard: Buffer[] }): Promise<void> {
  far.write(encodeGreeting(GREETED));
  await eventually(() => expect(heard).not.toEqual([]));
}

function reasons(outcomes: ForwardOutcome[]): unknown[] {
  return outcomes.map((outcome) => (typeof outcome === "object" && "reason" in outcome ? outcome.reason : outcome));
}

test("says whose connection it is when it was greeted, and hands over the connection when it was taken", async () => {
  const set = setUp();
  const { far, heard, outcomes, clock, near } = set;
  const greeting = encodeGreeting(GREETED);
  far.write(greeting.subarray(0, 7));
  await eventually(() => expect(far.writableLength).toBe(0));
  expect(heard).toEqual([]);
  far.write(greeting.subarray(7));
  await eventually(() => expect(heard).toEqual([encodePreamble(PREAMBLE, GREETED, MACS)]));
  const answer = encodeAnswer("taken", PREAMBLE.nonce, GREETED, MACS);
  far.write(answer.subarray(0, 39));
  far.write(answer.subarray(39));
  await eventually(() => expect(outcomes).toHaveLength(1));
  const [outcome] = outcomes;
  if (typeof outcome !== "object" || !("to" in outcome)) throw new Error("it was not taken");
  outcome.to.write([Buffer.from("hello")]);
  await eventually(() => expect(String(heard.at(-1))).toBe("hello"));
  clock.pass(10_000);
  expect([near.destroyed, outcomes.length]).toEqual([false, 1]);
});

test.each<[string, (set: ReturnType<typeof setUp>) => void | Promise<void>]>([
  ["the server that has the session speaks another version", ({ far }) => void far.write(Buffer.alloc(21))],
  ["the server that has the session says what is not expected", ({ far }) => void far.write(Buffer.alloc(22))],
  [
    "the server that has the session says what is not expected; it looks like HTTP",
    ({ far }) => void far.write("HTTP/1.1 400 Bad Request\r\n\r\n"),
  ],
  [
    "the server that has the session answers another-server",
    async (set) => {
      await greet(set);
      set.far.write(encodeAnswer("another-server", PREAMBLE.nonce, GREETED, MACS));
    },
  ],
  [
    "the server that has the session does not prove itself",
    async (set) => {
      await greet(set);
      set.far.write(encodeAnswer("taken", Buffer.alloc(16), GREETED, MACS));
    },
  ],
  ["the server that has the session has closed the connection", ({ far }) => void far.end()],
  ["the server that has the session does not answer", ({ clock }) => clock.pass(2_000)],
  ["EMFILE", ({ near }) => void near.destroy(Object.assign(new Error("EMFILE"), { code: "EMFILE" }))],
])("not taken: %s", async (reason, act) => {
  const set = setUp();
  await act(set);
  await eventually(() => expect(reasons(set.outcomes)).toEqual([reason]));
  expect(set.near.destroyed).toBe(true);
  set.clock.pass(10_000);
  expect(set.outcomes).toHaveLength(1);
});

test("an error that means so says that there is no such server, but not of one that has greeted", async () => {
  const gone = (): Error => Object.assign(new Error("gone"), { code: "ENOENT" });
  const absent = setUp();
  absent.near.destroy(gone());
  await eventually(() => expect(absent.outcomes).toEqual(["nobody"]));
  const there = setUp();
  await greet(there);
  there.near.destroy(gone());
  await eventually(() => expect(reasons(there.outcomes)).toEqual(["gone"]));
});

test("a connection whose client has an address that is too long is not forwarded", async () => {
  const { far, outcomes } = setUp({ ...PREAMBLE, remoteAddress: "a".repeat(800) });
  far.write(encodeGreeting(GREETED));
  await eventually(() => expect(reasons(outcomes)).toEqual(["the address or the certificate is too long"]));
});

test("an attempt that is aborted says nothing, and closes its socket, also one that comes later", async () => {
  const { attempt, near, clock, outcomes } = setUp();
  attempt.abort();
  clock.pass(10_000);
  const [late] = duplexPair();
  attempt.begin({ socket: late, isGone: () => false });
  attempt.fail("late");
  attempt.nobody();
  expect([near.destroyed, late.destroyed, outcomes]).toEqual([true, true, []]);
});
