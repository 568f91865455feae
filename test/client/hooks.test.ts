/** What functions of the application's may answer: it fails an attempt, and never a link, nor what protects it. */
import { afterEach, describe, expect, test, vi } from "vitest";
import { isRetried } from "../../src/client/hooks.ts";
import { RespliceError } from "../../src/index.ts";
import { Journal } from "../../src/telemetry/journal.ts";
import { logLines } from "../../src/telemetry/log-line.ts";
import { eventually, logKeeper, manage, openTo, QUICK, serve, turned, unusedPort } from "../support.ts";
import { expectRetried, failures, SECRET } from "./attempts.ts";

describe("a function that gives what cannot be used fails the attempt, and is asked again", () => {
  test.each<[string, unknown]>([
    ["none", []],
    ["undefined", undefined],
    ["null", null],
    ["no array", SECRET],
    ["no endpoints", [SECRET]],
    ["nothing among them", [null]],
    ["a port that is none", [{ port: 0 }]],
    ["a path that is none", [{ path: "" }]],
  ])("endpoints: %s", async (_, given) => {
    const { port } = await serve();
    let isRight = false;
    const right = [{ port, host: "127.0.0.1" }];
    const link = manage().open({ endpoints: () => (isRight ? right : (given as never)), reconnect: QUICK });
    await expectRetried(link, "CONNECT_FAILED", /^the function endpoints gave what cannot be used: option /);
    isRight = true;
    await link.connected();
  });

  test.each<[string, unknown]>([
    ["undefined", undefined],
    ["null", null],
    ["a number", 5],
    ["an object", { token: SECRET }],
    ["too much", SECRET.repeat(3_000)],
  ])("credentials: %s", async (_, given) => {
    const { port } = await serve();
    let isRight = false;
    const link = openTo(port, { credentials: async () => (isRight ? "token" : (given as never)) });
    await expectRetried(link, "CONNECT_FAILED", /^the function credentials gave what cannot be used: /);
    isRight = true;
    await link.connected();
  });

  test("endpoints that were emptied after open() are no reason to end the link, either", async () => {
    const { port } = await serve();
    const endpoints = [{ port, host: "127.0.0.1" }];
    const link = manage().open({ endpoints, reconnect: QUICK });
    endpoints.length = 0;
    await expectRetried(link, "CONNECT_FAILED", /at least one endpoint/);
    endpoints.push({ port, host: "127.0.0.1" });
    await link.connected();
  });

  test("shouldRetry is asked, and may end it", async () => {
    const seen: string[] = [];
    const shouldRetry = ({ code }: RespliceError): boolean => seen.push(code) < 3;
    const link = openTo(1, { credentials: () => undefined as never, reconnect: { ...QUICK, shouldRetry } });
    expect((await link.closed).error).toMatchObject({ code: "CONNECT_FAILED" });
    expect(seen).toEqual(["CONNECT_FAILED", "CONNECT_FAILED", "CONNECT_FAILED"]);
  });

  test("it may throw anything at all", async () => {
    const thrown = [
      undefined,
      "a word",
      Object.create(null),
      new TypeError("x\n\u001b[31mforged"),
      new DOMException("no", "AbortError"),
    ];
    const { port } = await serve();
    const link = openTo(port, {
      credentials: ({ number }) => {
        if (number <= thrown.length) throw thrown[number - 1] as Error;
        return "token";
      },
    });
    const seen = failures(link);
    await link.connected();
    expect(seen.map(({ message }) => message)).toEqual([
      "undefined",
      "a word",
      "[Object: null prototype] {}",
      "x\\n\\x1b[31mforged",
      "no",
    ]);
    expect(new Set(seen.map(({ code }) => code))).toEqual(new Set(["CONNECT_FAILED"]));
  });

  test.each(["credentials", "endpoints", "tls", "connect"])(
    "%s that hangs is waited for no longer than connectMs",
    async (name) => {
      const { port } = await serve();
      const signals: AbortSignal[] = [];
      const hang = ({ signal }: { signal: AbortSignal }): Promise<never> => {
        signals.push(signal);
        return new Promise(() => {});
      };
      const target = name === "connect" || name === "endpoints" ? {} : { port, host: "127.0.0.1" };
      const options = { ...target, [name]: hang, timeouts: { connectMs: 30 }, reconnect: QUICK };
      const link = manage().open(options as never);
      const { error } = await turned(link, "reconnecting");
      expect(error).toMatchObject({ code: "TIMED_OUT", message: `the function ${name} took more than 30 ms` });
      expect(signals[0]?.aborted).toBe(true);
      await eventually(() => expect(signals.length).toBeGreaterThan(1));
    },
  );
});

describe("shouldRetry", () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  const retryable = new RespliceError("CONNECT_FAILED", "no");
  const final = new RespliceError("CERTIFICATE_INVALID", "no");

  test("that cannot say leaves it to the error", () => {
    const { lines, logger } = logKeeper();
    const journal = new Journal();
    journal.subscribe(logLines(logger));
    const rejected = Promise.reject(new Error("late"));
    const throws = (): boolean => {
      throw new Error("mine\n");
    };
    for (const shouldRetry of [undefined, throws, () => rejected as never, () => undefined as never]) {
      expect(isRetried(retryable, shouldRetry, "l", journal)).toBe(true);
      expect(isRetried(final, shouldRetry, "l", journal)).toBe(false);
    }
    expect(lines).toHaveLength(4);
    expect(lines[0]).toMatchObject({
      level: "warn",
      event: "link.hook-failed",
      link: "l",
      hook: "reconnect.shouldRetry",
      detail: "mine\\n",
    });
    expect(isRetried(final, () => true, "l", journal)).toBe(true);
    expect(isRetried(retryable, () => false, "l", journal)).toBe(false);
  });

  test("that throws ends neither the link nor the process; without a logger the process is warned, once", async () => {
    const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    // This process may have been warned by another test.
    vi.resetModules();
    const fresh = await import("../support.ts");
    const port = await unusedPort();
    const shouldRetry = (): boolean => {
      throw new Error("mine");
    };
    const link = fresh.openTo(port, { reconnect: { ...QUICK, shouldRetry } });
    const seen = failures(link);
    await eventually(() => expect(seen.length).toBeGreaterThan(3));
    await serve({ port });
    await link.connected();
    expect(warn).toHaveBeenCalledTimes(1);
    expect(String(warn.mock.calls[0]?.[0])).toContain("(reconnect.shouldRetry: mine)");
  });
});
