import { describe, expect, test } from "vitest";
import { BlockPool } from "../../src/core/log/blocks.ts";
import { type DurableOptions, GiB, KiB, type LinkOptions, MiB, type RespliceError } from "../../src/index.ts";
import { coreOptions, mergeOptions, resolveLinkOptions } from "../../src/link/options.ts";
import { refusal } from "../support.ts";

type Options = LinkOptions & DurableOptions;

function refused(options: unknown): RespliceError {
  return refusal(() => resolveLinkOptions(options as Options, "client"));
}

test("the defaults of a client", () => {
  expect(resolveLinkOptions({}, "client")).toEqual({
    mode: "messages",
    queue: { maxMessages: 10_000, maxBytes: 16 * MiB, policy: undefined },
    ackDelayMs: 25,
    keepalive: { pingAfterMs: 15_000, suspectAfterMs: 5_000, pingAfterSpeechMs: [1_000, 2_000, 4_000, 8_000] },
    timeouts: { connectMs: 10_000, tlsMs: 10_000, handshakeMs: 5_000 },
    maxMessageBytes: 1 * MiB,
    allowHalfOpen: false,
    window: { minBytes: 256 * KiB, maxBytes: 8 * MiB },
    manualAcceptance: undefined,
  });
});

test("a server is more patient", () => {
  expect(resolveLinkOptions({}, "server")).toMatchObject({
    // Whether anybody is there is asked after speech by the client alone.
    keepalive: { pingAfterMs: 45_000, pingAfterSpeechMs: [] },
    timeouts: { handshakeMs: 60_000 },
  });
});

describe("each option is checked by itself", () => {
  const bad: Array<[string, unknown, unknown]> = [
    ["queue.maxMessages", { queue: { maxMessages: 0 } }, 0],
    ["queue.maxMessages", { queue: { maxMessages: 1.5 } }, 1.5],
    ["queue.maxMessages", { queue: { maxMessages: Infinity } }, Infinity],
    ["queue.maxBytes", { queue: { maxBytes: -1 } }, -1],
    ["queue.maxBytes", { queue: { maxBytes: "1" } }, "1"],
    ["keepalive.pingAfterMs", { keepalive: { pingAfterMs: -1 } }, -1],
    ["keepalive.pingAfterMs", { keepalive: { pingAfterMs: 2 ** 31 } }, 2 ** 31],
    ["keepalive.suspectAfterMs", { keepalive: { suspectAfterMs: 0 } }, 0],
    ["timeouts.connectMs", { timeouts: { connectMs: 0 } }, 0],
    ["timeouts.tlsMs", { timeouts: { tlsMs: Number.NaN } }, Number.NaN],
    ["maxMessageBytes", { maxMessageBytes: 0 }, 0],
    ["maxMessageBytes", { maxMessageBytes: 256 * MiB + 1 }, 256 * MiB + 1],
    ["allowHalfOpen", { allowHalfOpen: 1 }, 1],
    ["mode", { mode: "lines" }, "lines"],
    ["window.minBytes", { window: { minBytes: 0 } }, 0],
    ["window.maxBytes", { window: { maxBytes: 2 * GiB } }, 2 * GiB],
    ["manualAcceptance.maxBatchBytes", { manualAcceptance: {} }, undefined],
    ["manualAcceptance.maxBatchBytes", { manualAcceptance: { maxBatchBytes: 0 } }, 0],
  ];
  test.each(bad)("%s of %j", (name, options, value) => {
    const error = refused(options);
    expect(error).toMatchObject({ code: "INVALID_OPTION", retryable: false, option: { name, value } });
    expect(error.option?.allowed).not.toBe("");
    expect(error.message).toContain(name);
    expect(error.message).toContain(error.option?.allowed);
  });

  test.each(["queue", "keepalive", "timeouts", "window", "manualAcceptance"])("%s is a group", (name) => {
    for (const value of [5, "x", true]) {
      expect(refused({ [name]: value })).toMatchObject({ code: "INVALID_OPTION" });
    }
  });

  test.each([
    ["queue.maxMesages", { queue: { maxMesages: 1 } }],
    ["queue.overFlow", { queue: { overFlow: "drop-oldest" } }],
    ["keepalive.pingMs", { keepalive: { pingMs: 1 } }],
    ["timeouts.connect", { timeouts: { connect: 1 } }],
    ["window.max", { window: { max: 1 } }],
    ["manualAcceptance.maxBytes", { manualAcceptance: { maxBatchBytes: 1, maxBytes: 1 } }],
  ])("%s does not exist", (name, options) => {
    expect(refused(options)).toMatchObject({ code: "INVALID_OPTION", option: { name } });
  });
});

describe("and against the others", () => {
  test("the window holds a message with its prefix, and a batch", () => {
    expect(refused({ maxMessageBytes: 8 * MiB })).toMatchObject({
      code: "INVALID_OPTION",
      option: { name: "window.maxBytes", value: 8 * MiB },
    });
    expect(refused({ maxMessageBytes: 4 * MiB, manualAcceptance: { maxBatchBytes: 4 * MiB } })).toMatchObject({
      option: { name: "window.maxBytes" },
    });
    const most = 8 * MiB - 4;
    expect(resolveLinkOptions({ maxMessageBytes: most }, "client").maxMessageBytes).toBe(most);
  });

  test("the least window is not above the most", () => {
    expect(refused({ window: { minBytes: 2 * MiB, maxBytes: 2 * MiB - 1 } })).toMatchObject({
      option: { name: "window.minBytes", value: 2 * MiB },
    });
  });

  test("the queue holds a message; by default it grows with it", () => {
    expect(refused({ queue: { maxBytes: 1_000 } }).message).toContain(
      "at least 1048580: one message of maxMessageBytes (1048576) and 4 bytes before it. Or set a smaller maxMessageBytes",
    );
    expect(refused({ queue: { priorities: [{ name: "a", maxBytes: 1_000 }] } })).toMatchObject({
      message: expect.stringContaining("of maxMessageBytes (1048576)") as string,
      option: { name: "queue.priorities[0].maxBytes", value: 1_000 },
    });
    expect(refused({ queue: { maxBytes: 1 * MiB } })).toMatchObject({
      option: { name: "queue.maxBytes", value: 1 * MiB },
    });
    expect(resolveLinkOptions({ queue: { maxBytes: 1_004 }, maxMessageBytes: 1_000 }, "client").queue.maxBytes).toBe(
      1_004,
    );
    const large = resolveLinkOptions({ maxMessageBytes: 32 * MiB, window: { maxBytes: 64 * MiB } }, "client");
    expect(large.queue.maxBytes).toBe(32 * MiB + 4);
  });

  test('mode "bytes" has no messages to hold', () => {
    expect(resolveLinkOptions({ mode: "bytes", queue: { maxBytes: 1 } }, "client").queue.maxBytes).toBe(1);
  });
});

test("groups are merged key by key, undefined counts as not given", () => {
  const defaults = { queue: { maxMessages: 5, maxBytes: 7 }, keepalive: { pingAfterMs: 1 }, maxMessageBytes: 9 };
  const merged = mergeOptions<Options>(defaults, {
    queue: { maxMessages: 6 },
    maxMessageBytes: undefined as unknown as number,
    allowHalfOpen: true,
  });
  expect(merged).toEqual({
    queue: { maxMessages: 6, maxBytes: 7 },
    keepalive: { pingAfterMs: 1 },
    maxMessageBytes: 9,
    allowHalfOpen: true,
  });
  expect(defaults.queue.maxMessages).toBe(5);
});

test("undefined within a group leaves the default of the manager alone", () => {
  const merged = mergeOptions<Options>(
    { queue: { maxMessages: 5 } },
    { queue: { maxMessages: undefined as unknown as number, maxBytes: 7 } },
  );
  expect(merged.queue).toEqual({ maxMessages: 5, maxBytes: 7 });
});

test("what the core is told", () => {
  const budget = { freeBytes: 0, borrow: () => {}, give: () => {} };
  const resolved = resolveLinkOptions({ manualAcceptance: { maxBatchBytes: 7 } }, "server");
  expect(coreOptions(resolved, { windowBudget: budget, logBudget: budget, blocks: new BlockPool() })).toMatchObject({
    mode: "messages",
    maxBatchBytes: 7,
    keepalive: { pingAfterMs: 45_000, suspectAfterMs: 5_000, stalledAfterMs: [2_000, 4_000] },
  });
});
