import { expect, test } from "vitest";
import { fixed, GiB, lines, MiB, plain, type PlainOptions, ServerSupervisor } from "../../src/index.ts";
import { resolvePlainServerOptions } from "../../src/server/plain-options.ts";
import { refusal } from "../support.ts";

const LARGE = { memoryBytes: 256 * GiB, oldGenerationBytes: 4 * GiB };
const protocol = plain({ framing: lines() });

test("the defaults", () => {
  const resolved = resolvePlainServerOptions({ port: 0, protocol }, LARGE);
  expect(resolved).toMatchObject({
    listen: [{ port: 0 }],
    tls: false,
    limits: {
      acceptsPerSecond: 4_500,
      connections: 10_000,
      handshakes: 1_000,
      connectionsPerAddress: Infinity,
      opensPerSecond: 500,
      bufferBytes: GiB,
      rates: {},
    },
    timeouts: { tlsMs: 10_000, handshakeMs: 60_000 },
    deadAfterMs: 10_000,
    writeStallMs: 15_000,
    answerMs: 30_000,
    windowBytes: MiB,
    link: { keepalive: { pingAfterMs: 45_000 }, maxMessageBytes: MiB, allowHalfOpen: false },
    plain: { inDoubtBytes: 65_536 },
  });
  expect(resolvePlainServerOptions({ protocol }, LARGE).listen).toBeUndefined();
  const kept = plain({ framing: lines(), inDoubtBytes: 0 });
  expect(resolvePlainServerOptions({ protocol: kept }, LARGE).plain.inDoubtBytes).toBe(0);
});

test.each([
  ["16 GiB", 16 * GiB, {}, 1_607],
  ["8 GiB, and messages of 64 KiB", 8 * GiB, { maxMessageBytes: 65_536 }, 4_336],
  ["what is set is taken", GiB, { limits: { connections: 50_000 } }, 50_000],
])("connections, by what memory there is: %s", (_, memoryBytes, options, expected) => {
  const machine = { memoryBytes, oldGenerationBytes: 4 * GiB };
  expect(resolvePlainServerOptions({ protocol, ...options }, machine).limits.connections).toBe(expected);
});

test.each<[string, object, Partial<PlainOptions>?]>([
  // Of durable links.
  ["authenticate", { authenticate: () => "me" }],
  ["resumeForMs", { resumeForMs: 1_000 }],
  ["mode", { mode: "messages" }],
  ["window", { window: {} }],
  ["manualAcceptance", { manualAcceptance: { maxBatchBytes: 1 } }],
  ["limits.sessions", { limits: { sessions: 1 } }],
  ["limits.sessionsPerIdentity", { limits: { sessionsPerIdentity: 1 } }],
  ["limits.authenticating", { limits: { authenticating: 1 } }],
  ["limits.rates.identity", { limits: { rates: { identity: { bytesPerSecond: 1 } } } }],
  ["limits.rates.link.bytesPerSecond", { limits: { rates: { link: { bytesPerSecond: -1 } } } }],
  ["limits.resumesPerSecond", { limits: { resumesPerSecond: 1 } }],
  ["limits.standbysPerSecond", { limits: { standbysPerSecond: 1 } }],
  ["keepalive.suspectAfterMs", { keepalive: { suspectAfterMs: 1 } }],
  // Of a client.
  ["timeouts.connectMs", { timeouts: { connectMs: 1 } }],
  ["reconnect", { reconnect: {} }],
  ["queue.whileDisconnected", { queue: { whileDisconnected: "fail" } }],
  ["plain.resendInFlight", {}, { resendInFlight: true }],
  ["plain.reconnectWhen", {}, { reconnectWhen: () => false }],
  // Wrong.
  ["protocol", { protocol: { name: "mine" } }],
  ["port", { port: undefined }],
  ["port", { host: "127.0.0.1" }],
  ["tls", { tls: undefined }],
  ["limits.connections", { limits: { connections: 0 } }],
  ["limits.handshakes", { limits: { handshakes: 0 } }],
  ["limits.connectionsPerAddress", { limits: { connectionsPerAddress: 0.5 } }],
  ["limits.opensPerSecond", { limits: { opensPerSecond: 0 } }],
  ["limits.bufferBytes", { limits: { bufferBytes: -1 } }],
  ["windowBytes", { windowBytes: 0 }],
  ["timeouts.answerMs", { timeouts: { answerMs: 0 } }],
  ["allowHalfOpen", { allowHalfOpen: 1 }],
])("%s of %j is refused", (name, options, given = {}) => {
  const of = plain({ framing: lines(), ...given });
  const error = refusal(() => new ServerSupervisor({ protocol: of, ...options } as never));
  expect(error).toMatchObject({ code: "INVALID_OPTION", option: { name } });
});

test("what makes no sense at a server is refused with the reason", () => {
  const say = (given: Partial<PlainOptions>): string =>
    refusal(() => new ServerSupervisor({ port: 0, protocol: plain({ framing: lines(), ...given }) })).message;
  expect(say({ resendInFlight: true })).toContain("a client that is gone does not come back");
  expect(say({ reconnectWhen: () => true })).toContain("dials nobody");
});

test("a framing none of whose messages is small enough is refused at once", () => {
  const given = { port: 0, protocol: plain({ framing: fixed(100) }), maxMessageBytes: 99 };
  expect(refusal(() => new ServerSupervisor(given)).option?.name).toBe("maxMessageBytes");
  const broken = {
    name: "mine",
    encode: (message: Buffer) => message,
    decoder: () => {
      throw new Error("broken");
    },
  };
  const error = refusal(() => new ServerSupervisor({ port: 0, protocol: plain({ framing: broken }) }));
  expect([error.option?.name, error.message.includes("broken")]).toEqual(["plain.framing", true]);
});
