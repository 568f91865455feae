/** What balancers do to see whether a server lives: they connect and go, or speak another protocol, again and again. */
import net from "node:net";
import tls from "node:tls";
import { expect, test } from "vitest";
import { lines as framing, plain, ServerSupervisor } from "../../src/index.ts";
import { certificate, eventually, listenInTest, type LogLine, logKeeper, serve } from "../support.ts";

const TIMES = 3;

type Probe = (port: number) => net.Socket;

const connected = (port: number): net.Socket => net.connect(port, "127.0.0.1").on("error", () => {});
const closes: Probe = (port) =>
  connected(port).on("connect", function close(this: net.Socket) {
    this.end();
  });
const resets: Probe = (port) =>
  connected(port).on("connect", function reset(this: net.Socket) {
    this.resetAndDestroy();
  });
const asks: Probe = (port) => {
  const socket = connected(port);
  socket.write("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
  return socket;
};
const shakesHands: Probe = (port) => {
  const secured = tls.connect({ port, host: "127.0.0.1", rejectUnauthorized: false }).on("error", () => {});
  return secured.on("secureConnect", () => secured.end());
};

async function probed(port: number, probe: Probe): Promise<void> {
  for (let n = 0; n < TIMES; n++) {
    const socket = probe(port);
    await new Promise((resolve) => socket.once("close", resolve).resume());
  }
}

const warnings = (lines: readonly LogLine[]): string[] =>
  lines.filter(({ level }) => level !== "info").map(({ message }) => message);

test.each<[string, Probe, Record<string, number>, string[]]>([
  ["over TCP", closes, {}, []],
  ["over TCP, with a reset", resets, {}, []],
  ["over HTTP", asks, { "bad-frame": TIMES }, ["connection closed: bad-frame"]],
  ["over TLS, which the server does not speak", shakesHands, { "bad-frame": TIMES }, ["connection closed: bad-frame"]],
])("probes %s: all are counted, and one is told", async (_, probe, rejected, told) => {
  const { logger, lines } = logKeeper();
  const { supervisor, port } = await serve({ logger });
  await probed(port, probe);
  await eventually(() => expect(supervisor.stats().rejected).toEqual(rejected));
  expect(warnings(lines)).toEqual(told);
});

test.each<[string, Probe, Record<string, number>]>([
  ["over TCP, with a reset", resets, { tls: TIMES }],
  ["over HTTP", asks, { tls: TIMES }],
  ["over TLS", shakesHands, {}],
])("probes of a server with TLS %s: the same", async (_, probe, rejected) => {
  const { logger, lines } = logKeeper();
  const { supervisor, port } = await serve({ logger, tls: await certificate() });
  await probed(port, probe);
  await eventually(() => expect(supervisor.stats().rejected).toEqual(rejected));
  const kinds = Object.keys(rejected).length;
  expect(warnings(lines).length).toBe(kinds);
});

test.each<[string, Probe]>([
  ["", closes],
  [", with a reset", resets],
])("probes over TCP%s of a server whose clients are not resplice: links that end in order", async (_, probe) => {
  const { logger, lines } = logKeeper();
  const supervisor = new ServerSupervisor({
    port: 0,
    host: "127.0.0.1",
    logger,
    protocol: plain({ framing: framing() }),
  });
  const { port } = await listenInTest(supervisor, async (link) => {
    for await (const _message of link);
  });
  await probed(port, probe);
  await eventually(() => expect(supervisor.stats().events.ended).toEqual({ closed: TIMES }));
  expect(warnings(lines)).toEqual([]);
});
