import { inspect } from "node:util";
import { pino } from "pino";
import { expect, test } from "vitest";
import { logLines } from "../../src/telemetry/log-line.ts";
import { errorOf, messageOf } from "../../src/telemetry/thrown.ts";
import { logKeeper } from "../support.ts";

const fail = (): never => {
  throw new Error("inspect");
};
const withGetter = (name: string, on: object): object =>
  Object.defineProperty(on, name, {
    enumerable: true,
    get: () => {
      throw new Error("a getter's");
    },
  });
const trapped = new Proxy(
  {},
  {
    get: () => {
      throw new Error("a trap's");
    },
    has: () => {
      throw new Error("a trap's");
    },
  },
);

const things: Array<[string, unknown, string]> = [
  ["an Error", new Error("mine"), "mine"],
  [
    "an Error without a message, with a code",
    Object.assign(new AggregateError([]), { code: "ECONNREFUSED" }),
    "ECONNREFUSED",
  ],
  ["undefined", undefined, "undefined"],
  ["null", null, "null"],
  ["a string", "mine", "mine"],
  ["a symbol", Symbol("mine"), "Symbol(mine)"],
  ["an object", { reason: "mine" }, "{ reason: 'mine' }"],
  ["an object without a prototype", Object.create(null), "[Object: null prototype] {}"],
  ["an object with an inspection that throws", { [inspect.custom]: fail }, "cannot be shown"],
  ["an Error with a message that throws", withGetter("message", new Error("mine")), "cannot be shown"],
  ["a proxy that throws at everything", trapped, "cannot be shown"],
];

test.each(things)("the message of %s", (_, thrown, message) => {
  expect(messageOf(thrown)).toContain(message);
});

test.each([
  ...things.map(([name, thrown]) => [name, thrown] as const),
  ["an Error with another getter that throws", withGetter("status", new Error("mine"))],
  ["an Error whose cause throws", new Error("mine", { cause: withGetter("stack", new Error("cause")) })],
] as const)("%s is something that a logger can read whole", (_, thrown) => {
  const written: string[] = [];
  const write = logLines(pino({}, { write: (line: string) => void written.push(line) }));
  write({ event: "link.handler-failed", ids: { link: "l", session: "s" }, thrown, isHeard: true });
  const { err, level, event } = JSON.parse(written[0] ?? "") as Record<string, unknown>;
  expect({ level, event }).toEqual({ level: 50, event: "link.handler-failed" });
  expect(err).toMatchObject({ message: expect.any(String) as string, stack: expect.any(String) as string });
});

test("an Error is handed on as it is, with its causes, also when they are a circle", () => {
  const error: Error & { cause?: unknown } = new Error("mine");
  error.cause = new Error("inner", { cause: error });
  expect(errorOf(error)).toBe(error);
  const { lines, logger } = logKeeper();
  const ids = { link: "l", session: "s" };
  logLines(logger)({ event: "link.handler-failed", ids, thrown: error, isHeard: true });
  expect(lines).toEqual([
    { level: "error", message: "a handler has failed: mine", event: "link.handler-failed", ...ids, err: error },
  ]);
});

test("what is shown has a bound", () => {
  expect(messageOf("x".repeat(1_000_000))).toHaveLength(1_000);
  expect(messageOf(Array.from({ length: 100_000 }, () => "x")).length).toBeLessThanOrEqual(1_000);
});
