import { createSecureContext } from "node:tls";
import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { resolveManagerOptions, resolveOpenOptions } from "../../src/client/options.ts";
import { ConnectionManager, GiB, type RespliceError } from "../../src/index.ts";
import { certificate, refusal } from "../support.ts";

const SECRET = "sk-s3cr3t";

function expectSecretKept(error: RespliceError): void {
  expect(error.code).toBe("INVALID_OPTION");
  expect(inspect(error, { depth: 10 })).not.toContain("s3cr3t");
}

const open = (options: object) => resolveOpenOptions({ port: 1, ...options });

test("the defaults", () => {
  expect(open({})).toMatchObject({
    tls: false,
    reconnect: {
      minDelayMs: 500,
      maxDelayMs: 30_000,
      resetAfterMs: 10_000,
      maxAttempts: Infinity,
      maxElapsedMs: Infinity,
      shouldRetry: undefined,
    },
    credentials: "",
    openPayload: Buffer.alloc(0),
    whenSessionLost: "report",
    socket: { localAddress: undefined, keepAlive: 0, noDelay: true },
    lookup: undefined,
  });
  expect(resolveManagerOptions({}, { memoryBytes: 2 * GiB, oldGenerationBytes: GiB })).toEqual({
    logger: undefined,
    defaults: {},
    maxDialsInFlight: 64,
    maxDialsPerSecond: 200,
    maxBufferBytes: GiB / 4,
    metricsIntervalMs: 60_000,
  });
});

describe("open()", () => {
  test.each<[string, object]>([
    ["reconnect.minDelayMs", { reconnect: { minDelayMs: -1 } }],
    ["reconnect.maxDelayMs", { reconnect: { maxDelayMs: 499 } }],
    ["reconnect.maxDelayMs", { reconnect: { minDelayMs: 10, maxDelayMs: 9 } }],
    ["reconnect.resetAfterMs", { reconnect: { resetAfterMs: 0 } }],
    ["reconnect.maxAttempts", { reconnect: { maxAttempts: -1 } }],
    ["reconnect.maxAttempts", { reconnect: { maxAttempts: 1.5 } }],
    ["reconnect.maxElapsedMs", { reconnect: { maxElapsedMs: "1" } }],
    ["reconnect.shouldRetry", { reconnect: { shouldRetry: true } }],
    ["reconnect.maxRetries", { reconnect: { maxRetries: 1 } }],
    ["whenSessionLost", { whenSessionLost: "retry" }],
    ["openPayload", { openPayload: "x".repeat(4_097) }],
    ["openPayload", { openPayload: 5 }],
    ["openPayload", { openPayload: { a: 1 } }],
    ["credentials", { credentials: "x".repeat(16_385) }],
    ["credentials", { credentials: 5 }],
    ["credentials", { credentials: { token: 1 } }],
    ["tls", { tls: "yes" }],
    ["tls", { tls: 1 }],
    ["socket", { socket: true }],
    ["socket.localAddress", { socket: { localAddress: "localhost" } }],
    ["socket.localAddress", { socket: { localAddress: 5 } }],
    ["socket.keepAlive", { socket: { keepAlive: true } }],
    ["socket.keepAlive", { socket: { keepAlive: 999 } }],
    ["socket.noDelay", { socket: { noDelay: 1 } }],
    ["socket.reuseAddr", { socket: { reuseAddr: true } }],
    ["lookup", { lookup: "dns" }],
    ["host", { host: 5 }],
    ["host", { host: "localhost:7000" }],
    ["tls.ca", { tls: { ca: "no PEM" } }],
    ["retry", { retry: {} }],
    ["Port", { Port: 7 }],
    ["maxMessageBytes", { maxMessageBytes: 0 }],
    ["queue.maxMessages", { queue: { maxMessages: 0 } }],
  ])("%s of %j is refused", (name, options) => {
    const error = refusal(() => open(options));
    expect(error).toMatchObject({ code: "INVALID_OPTION", option: { name } });
    expect(error.option?.allowed).toEqual(expect.any(String));
    expect(error.option).toHaveProperty("value");
  });

  test("a client's certificate needs its key, as node:tls would leave it out", async () => {
    const { cert, key } = await certificate();
    expect(refusal(() => open({ tls: { cert } }))).toMatchObject({ option: { name: "tls.key" } });
    const shared = { cert, key };
    for (const tls of [shared, shared, { ca: cert }, { cert, secureContext: createSecureContext() }])
      expect(open({ tls }).tls).toBe(tls);
    const error = refusal(() => resolveManagerOptions({ defaults: { tls: { ca: SECRET } } }));
    expect(error).toMatchObject({ code: "INVALID_OPTION", option: { name: "defaults.tls.ca" } });
    expectSecretKept(error);
  });

  test("tls with connect: the stream is the application's, so tls would silently not be used", () => {
    const error = refusal(() => resolveOpenOptions({ connect: () => new Promise(() => {}), tls: true }));
    expect(error).toMatchObject({ code: "INVALID_OPTION", option: { name: "tls" } });
  });

  test.each<[string, object]>([
    ["socket", { socket: { noDelay: false } }],
    ["lookup", { lookup: () => {} }],
  ])("%s with a transport that is not ours, or a Unix socket: it would silently not be used", (name, option) => {
    for (const target of [{ connect: () => new Promise(() => {}) }, { path: "/x" }]) {
      const error = refusal(() => resolveOpenOptions({ ...target, ...option } as never));
      expect(error).toMatchObject({ code: "INVALID_OPTION", option: { name } });
      // A default is for all links of a manager, and some of them may have another target.
      expect(() => resolveOpenOptions(target as never, option)).not.toThrow();
    }
  });

  test("the options of a socket are merged with the defaults", () => {
    const defaults = { socket: { localAddress: "::1", keepAlive: 60_000 } };
    expect(resolveOpenOptions({ port: 1, socket: { keepAlive: 0 } }, defaults).socket).toEqual({
      localAddress: "::1",
      keepAlive: 0,
      noDelay: true,
    });
  });

  test.each<[string, object]>([
    ["too long", { credentials: SECRET.repeat(3_000) }],
    ["of a wrong kind", { credentials: { token: SECRET } }],
    ["a wrong payload", { openPayload: [SECRET] }],
    ["misspelled", { credential: SECRET }],
    ["a PEM where options belong", { tls: SECRET }],
    ["a group that is none", { queue: SECRET }],
    ["an unknown member of a group", { reconnect: { token: SECRET } }],
    ["no function", { reconnect: { shouldRetry: SECRET } }],
    ["no host", { host: { [SECRET]: SECRET } }],
    ["no boolean", { allowHalfOpen: SECRET }],
  ])("no secret shows in a refusal: %s", (_, options) => {
    expectSecretKept(refusal(() => open(options)));
    expectSecretKept(refusal(() => new ConnectionManager().open({ port: 1, ...options })));
  });

  test.each<[string, object]>([
    ["connect", { connect: SECRET }],
    ["endpoints", { endpoints: SECRET }],
    ["one of the endpoints", { endpoints: [SECRET] }],
    ["an endpoint's host", { endpoints: [{ port: 1, host: [SECRET] }] }],
    ["a path", { path: { [SECRET]: SECRET } }],
  ])("nor in the refusal of a target: %s", (_, target) => {
    expectSecretKept(refusal(() => resolveOpenOptions(target as never)));
  });

  test("tls: true means Node's defaults, false none", () => {
    expect(open({ tls: true }).tls).toEqual({});
    expect(open({ tls: false }).tls).toBe(false);
    expect(open({ tls: { servername: "x" } }).tls).toEqual({ servername: "x" });
  });

  test("tls that is named and undefined is refused: it was meant to be on", () => {
    expect(refusal(() => open({ tls: undefined }))).toMatchObject({ code: "INVALID_OPTION", option: { name: "tls" } });
    expect(refusal(() => open({ tls: Buffer.from("a PEM") }))).toMatchObject({ option: { name: "tls" } });
    // Where there is a default, it stands for that.
    const tls = { servername: "x" };
    expect(resolveOpenOptions({ port: 1, tls: undefined } as never, { tls }).tls).toEqual(tls);
    const error = refusal(() => new ConnectionManager({ defaults: { tls: undefined } as never }));
    expect(error).toMatchObject({ code: "INVALID_OPTION", option: { name: "defaults.tls" } });
  });

  test("the largest that fit", () => {
    expect(open({ openPayload: Buffer.alloc(4_096) }).openPayload).toHaveLength(4_096);
    expect(open({ credentials: "é".repeat(8_192) }).credentials).toHaveLength(8_192);
  });
});

describe("new ConnectionManager()", () => {
  test.each<[string, object]>([
    ["maxDialsInFlight", { maxDialsInFlight: 0 }],
    ["maxDialsPerSecond", { maxDialsPerSecond: 0 }],
    ["maxBufferBytes", { maxBufferBytes: -1 }],
    ["metricsIntervalMs", { metricsIntervalMs: 2 ** 31 }],
    ["logger", { logger: {} }],
    ["logger", { logger: "pino" }],
    ["defaults.port", { defaults: { port: 5 } }],
    ["socket.keepAlive", { defaults: { socket: { keepAlive: -1 } } }],
    ["lookup", { defaults: { lookup: {} } }],
    ["defaults.credentials", { defaults: { credentials: "x" } }],
    ["loger", { loger: console }],
  ])("%s of %j is refused", (name, options) => {
    expect(refusal(() => new ConnectionManager(options))).toMatchObject({
      code: "INVALID_OPTION",
      option: { name },
    });
  });

  test.each<[string, object]>([
    ["credentials among the defaults", { defaults: { credentials: SECRET } }],
    ["misspelled", { token: SECRET }],
    ["no logger", { logger: SECRET }],
    ["a logger that lacks a method", { logger: { token: SECRET } }],
  ])("no secret shows in a refusal: %s", (_, options) => {
    expectSecretKept(refusal(() => new ConnectionManager(options)));
  });

  test("defaults are checked when they are given", () => {
    expect(refusal(() => new ConnectionManager({ defaults: { queue: { maxMessages: 0 } } }))).toMatchObject({
      code: "INVALID_OPTION",
    });
  });
});
