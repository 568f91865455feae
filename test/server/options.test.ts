import { inspect } from "node:util";
import { describe, expect, test } from "vitest";
import { GiB, type Limits, ServerSupervisor } from "../../src/index.ts";
import type { Machine } from "../../src/io/machine.ts";
import { resolveServerOptions } from "../../src/server/options.ts";
import { certificate, refusal } from "../support.ts";

const SECRET = "sk-s3cr3t";

const LARGE: Machine = { memoryBytes: 256 * GiB, oldGenerationBytes: 4 * GiB };

describe("sessions and what they share, by what memory there is", () => {
  const resolved = (memoryBytes: number, heapBytes: number, change: object = {}): number[] => {
    const machine = { memoryBytes, oldGenerationBytes: heapBytes };
    const { sessions, bufferBytes } = resolveServerOptions({ port: 0, ...change }, machine).limits;
    return [sessions, bufferBytes];
  };

  test.each([
    ["a large machine: what `connections` asks for", 256 * GiB, 4 * GiB, {}, [20_000, GiB]],
    ["16 GiB", 16 * GiB, 4 * GiB, {}, [2_642, GiB]],
    ["16 GiB, and messages of 64 KiB", 16 * GiB, 4 * GiB, { maxMessageBytes: 65_536 }, [13_659, GiB]],
    ["a container of 512 MiB", GiB / 2, GiB / 4, {}, [70, GiB / 16]],
    ["a heap of 64 MiB", 256 * GiB, GiB / 16, {}, [3_276, GiB]],
    ["next to nothing: one", 1_000, 1_000, {}, [1, 125]],
    ["all of it is lent out", 16 * GiB, 4 * GiB, { limits: { bufferBytes: 8 * GiB } }, [1, 8 * GiB]],
    ["what is set is taken", GiB, GiB, { limits: { sessions: 50_000, bufferBytes: 5 } }, [50_000, 5]],
  ])("%s", (_, memoryBytes, heapBytes, change, expected) => {
    expect(resolved(memoryBytes, heapBytes, change)).toEqual(expected);
  });
});

test("the defaults", () => {
  expect(resolveServerOptions({ port: 0 }, LARGE)).toMatchObject({
    listen: [{ port: 0 }],
    tls: false,
    authenticate: undefined,
    resumeForMs: 300_000,
    logger: undefined,
    metricsIntervalMs: 60_000,
    limits: {
      acceptsPerSecond: 5_600,
      connections: 10_000,
      connectionsPerAddress: Infinity,
      handshakes: 1_000,
      authenticating: 200,
      sessions: 20_000,
      sessionsPerIdentity: Infinity,
      opensPerSecond: 500,
      resumesPerSecond: 1_000,
      standbysPerSecond: 100,
      bufferBytes: GiB,
      rates: {},
    },
  });
  const limitsFor = (connections: number) => resolveServerOptions({ port: 0, limits: { connections } }).limits;
  expect(limitsFor(7)).toMatchObject({ handshakes: 8, sessions: 14 });
  // Those that say nothing cannot have all connections.
  expect(limitsFor(100)).toMatchObject({ handshakes: 50, sessions: 200 });
  expect(resolveServerOptions({ port: 1, host: "h" }).listen).toEqual([{ port: 1, host: "h" }]);
  expect(resolveServerOptions({ path: "/x" }).listen).toEqual([{ path: "/x" }]);
});

test("rates: a scope is there that has a limit, and what is not given has none", () => {
  const authenticate = (): string => "alice";
  const ratesOf = (rates: NonNullable<Limits["rates"]>, mode: "messages" | "bytes" = "messages") =>
    resolveServerOptions({ port: 0, mode, authenticate, limits: { rates } }).limits.rates;
  expect(ratesOf({ link: { messagesPerSecond: 5 }, identity: { bytesPerSecond: 6 }, address: {} })).toEqual({
    link: { messagesPerSecond: 5, bytesPerSecond: Infinity },
    identity: { messagesPerSecond: Infinity, bytesPerSecond: 6 },
  });
  expect(ratesOf({ link: { bytesPerSecond: 5 } }, "bytes").link?.bytesPerSecond).toBe(5);
  expect(ratesOf({ link: { messagesPerSecond: Infinity } })).toEqual({});
});

test.each<[string, object]>([
  ["port", { port: undefined }],
  ["port", { port: -1 }],
  ["port", { port: 65_536 }],
  ["port", { port: "7000" }],
  ["host", { host: 5 }],
  ["path", { path: "/x" }],
  ["path", { port: undefined, path: "" }],
  ["path", { port: undefined, path: 5 }],
  ["host", { port: undefined, path: "/x", host: "h" }],
  ["tls", { tls: true }],
  ["tls", { tls: "yes" }],
  ["allow", { allow: [] }],
  ["allow[1]", { allow: ["127.0.0.1", "999.2.3.4"] }],
  ["deny", { deny: "127.0.0.1" }],
  ["deny[0]", { deny: ["localhost"] }],
  ["proxyProtocol", { proxyProtocol: true }],
  ["proxyProtocol.trust", { proxyProtocol: { trust: [] } }],
  ["proxyProtocol.from", { proxyProtocol: {} }],
  ["proxyProtocol.from", { proxyProtocol: { from: [] } }],
  ["proxyProtocol.from[0]", { proxyProtocol: { from: ["127.0.0.1/33"] } }],
  // Nobody could connect.
  ["proxyProtocol.from", { proxyProtocol: { from: ["unix"] } }],
  ["authenticate", { authenticate: "everyone" }],
  ["resumeForMs", { resumeForMs: 0 }],
  ["resumeForMs", { resumeForMs: 2 ** 31 }],
  ["metricsIntervalMs", { metricsIntervalMs: -1 }],
  ["logger", { logger: {} }],
  ["limits.connections", { limits: { connections: 0 } }],
  ["limits.handshakes", { limits: { handshakes: 0 } }],
  ["limits.authenticating", { limits: { authenticating: 0 } }],
  ["limits.sessions", { limits: { sessions: 1.5 } }],
  ["limits.sessionsPerIdentity", { limits: { sessionsPerIdentity: 0 } }],
  ["limits.opensPerSecond", { limits: { opensPerSecond: 0 } }],
  ["limits.acceptsPerSecond", { limits: { acceptsPerSecond: Infinity } }],
  ["limits.connectionsPerAddress", { limits: { connectionsPerAddress: 0 } }],
  ["limits.rates", { limits: { rates: 5 } }],
  ["limits.rates.links", { limits: { rates: { links: {} } } }],
  ["limits.rates.identity", { limits: { rates: { identity: { bytesPerSecond: 1 } } } }],
  ["limits.rates.link", { limits: { rates: { link: 5 } } }],
  ["limits.rates.link.bytes", { limits: { rates: { link: { bytes: 5 } } } }],
  ["limits.rates.link.messagesPerSecond", { limits: { rates: { link: { messagesPerSecond: 0.5 } } } }],
  ["limits.rates.address.bytesPerSecond", { limits: { rates: { address: { bytesPerSecond: 0 } } } }],
  ["limits.rates.link.messagesPerSecond", { mode: "bytes", limits: { rates: { link: { messagesPerSecond: 5 } } } }],
  ["limits.resumesPerSecond", { limits: { resumesPerSecond: Infinity } }],
  ["limits.standbysPerSecond", { limits: { standbysPerSecond: "1" } }],
  ["limits.bufferBytes", { limits: { bufferBytes: -1 } }],
  ["limits.sesions", { limits: { sesions: 1 } }],
  ["resumeForS", { resumeForS: 1 }],
  ["reconnect", { reconnect: {} }],
  ["timeouts.connectMs", { timeouts: { connectMs: 1 } }],
  ["maxMessageBytes", { maxMessageBytes: 0 }],
  ["keepalive.pingAfterMs", { keepalive: { pingAfterMs: -1 } }],
])("%s of %j is refused", (name, options) => {
  const error = refusal(() => new ServerSupervisor({ port: 0, ...options }));
  expect(error).toMatchObject({ code: "INVALID_OPTION", option: { name } });
  expect(error.option?.allowed).toEqual(expect.any(String));
  expect(error.option).toHaveProperty("value");
});

test("TLS options that node:tls refuses are INVALID_OPTION", () => {
  const error = refusal(() => new ServerSupervisor({ port: 0, tls: { cert: "no certificate", key: "no key" } }));
  expect(error).toMatchObject({ code: "INVALID_OPTION", option: { name: "tls.cert" } });
  expect(error.message).toContain("no start line");
});

test("a server's TLS needs a certificate with its key, unless a function brings one", async () => {
  const { cert, key } = await certificate();
  for (const tls of [{}, { cert }, { key }, { ca: cert }]) {
    const error = refusal(() => new ServerSupervisor({ port: 0, tls }));
    expect(error).toMatchObject({ code: "INVALID_OPTION", option: { name: "tls" } });
    expect(error.message).toContain("key and cert, or pfx");
  }
  const SNICallback = (): void => {};
  for (const tls of [{ cert, key }, { SNICallback }, { pskCallback: () => null }])
    expect(resolveServerOptions({ port: 0, tls }).tls).toBe(tls);
});

test.each(["tls", "authenticate", "allow", "deny", "proxyProtocol"])(
  "%s that is named and undefined is refused: it was meant to be on",
  (name) => {
    const error = refusal(() => new ServerSupervisor({ port: 0, [name]: undefined }));
    expect(error).toMatchObject({ code: "INVALID_OPTION", option: { name, value: undefined } });
  },
);

test("proxyProtocol is for connections that the server accepts itself, and a path has no addresses", () => {
  const refused = (options: object): unknown => refusal(() => new ServerSupervisor(options)).option?.name;
  expect(refused({ proxyProtocol: { from: ["127.0.0.1"] } })).toBe("proxyProtocol");
  expect(refused({ path: "/x", proxyProtocol: { from: ["127.0.0.1"] } })).toBe("proxyProtocol.from");
});

test("tls may be said to be off", () => {
  expect(resolveServerOptions({ port: 0, tls: false }).tls).toBe(false);
});

test.each<[string, object]>([
  ["keys that are none", { tls: { cert: SECRET, key: SECRET } }],
  ["what node:tls would quote", { tls: { ticketKeys: SECRET } }],
  ["and quote at the beginning", { tls: { minVersion: SECRET } }],
  ["a PEM where options belong", { tls: SECRET }],
  ["misspelled", { credentials: SECRET }],
  ["no function", { authenticate: SECRET }],
  ["an unknown limit", { limits: { token: SECRET } }],
  ["no logger", { logger: { token: SECRET } }],
])("no secret shows in a refusal: %s", (_, options) => {
  const error = refusal(() => new ServerSupervisor({ port: 0, ...options }));
  expect(error.code).toBe("INVALID_OPTION");
  expect(inspect(error, { depth: 10 })).not.toContain("s3cr3t");
});
