/** Nothing lives after close() has resolved. */
import { expect, test } from "vitest";
import { certificate, echo, rawServer, relayTo, runToExit, serve, unusedPort } from "../support.ts";

/**
 * What keeps the process alive now, beside what it was given when it was started. What was destroyed leaves in the
 * turns that follow.
 */
const LEFT = `
  const given = process.getActiveResourcesInfo();
  const left = async () => {
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
    return process.getActiveResourcesInfo().filter((name) => !given.includes(name));
  };
`;

/** A server whose path stops, in this way, as soon as it has a message. */
async function stopping(how: "stall" | "blackHole" | "refuse"): Promise<number> {
  const stop = (): void => {
    relay[how]();
    if (how === "refuse") relay.cut("rst");
  };
  const { port } = await serve({}, (link) => link.onMessage(stop));
  const relay = await relayTo(port);
  return relay.port;
}

test("no timer, socket or dial is left of whatever was closed", async () => {
  const [clients, left] = await Promise.all([closeClients(), closeServers()]);
  expect(clients.left).toEqual([]);
  expect(clients.errors).toEqual([...Array(4).fill("none"), ...Array(16).fill("CLOSE_TIMEOUT")]);
  expect(left).toEqual([]);
});

/** Links and managers are closed whose servers answer, or stop, or never say a word. */
async function closeClients(): Promise<{ left: string[]; errors: string[] }> {
  const { key, cert } = await certificate();
  const { port: healthy } = await serve({}, echo);
  const { port: secure } = await serve({ tls: { key, cert } }, echo);
  // It accepts, and never says a word.
  const frozen = await rawServer((socket) => void socket.pause());
  const stopped = await Promise.all([stopping("stall"), stopping("blackHole"), stopping("refuse")]);
  const output = await runToExit(`
    ${LEFT}
    const host = "127.0.0.1";
    const answered = [
      { port: ${healthy}, host },
      { port: ${secure}, host: "localhost", tls: { ca: ${JSON.stringify(cert)} } },
      ...${JSON.stringify(stopped)}.map((port) => ({ port, host })),
    ];
    const unanswered = [
      { port: ${await unusedPort()}, host },
      { port: ${frozen}, host },
      { port: ${frozen}, host, tls: true },
      { port: ${frozen}, host: "no.such.host", lookup: () => {} },
      { connect: () => new Promise(() => {}) },
    ];
    const opened = [...answered, ...unanswered].flatMap((options, n) =>
      ["link", "manager"].map((closing) => {
        // The first two are answered, however slow the machine is.
        const within = { deadlineMs: n < 2 ? 20_000 : 200 };
        const manager = new resplice.ConnectionManager();
        const link = manager.open(options);
        const close = () => (closing === "link" ? link : manager).close(within);
        return { link, close };
      }),
    );
    await Promise.all(opened.slice(0, 2 * answered.length).map(({ link }) => link.connected()));
    for (const { link } of opened) await link.send("now");
    await Promise.all(opened.map(({ close }) => close()));
    const reports = await Promise.all(opened.map(({ link }) => link.closed));
    console.log(JSON.stringify({ left: await left(), errors: reports.map(({ error }) => error?.code ?? "none") }));
  `);
  return JSON.parse(output) as { left: string[]; errors: string[] };
}

/** Servers, a router, a monitor, relays and a pair are closed, whose clients and paths have gone silent. */
async function closeServers(): Promise<unknown> {
  const { key, cert } = await certificate();
  const output = await runToExit(`
    import net from "node:net";
    import http from "node:http";
    import { faultRelay, linkPair } from ${JSON.stringify(new URL("../../src/testing/index.ts", import.meta.url).href)};
    const { ConnectionManager, ServerSupervisor, monitor, plain, lines, routeConnections, supervise } = resplice;
    ${LEFT}
    const host = "127.0.0.1";
    const logger = { debug() {}, info() {}, warn() {}, error() {} };
    const never = new Promise(() => {});

    const authenticate = () => ({ identity: "alice", expiresAtMs: Date.now() + 60_000 });
    const durable = new ServerSupervisor({ port: 0, host, logger, selfProbeMs: 1_000, authenticate });
    const tls = ${JSON.stringify({ key, cert })};
    const secure = new ServerSupervisor({ port: 0, host, tls });
    const lined = new ServerSupervisor({ port: 0, host, protocol: plain({ framing: lines() }) });
    const ports = [];
    for (const supervisor of [durable, secure, lined]) {
      supervisor.serve((link) => {
        link.onMessage(() => never);
        link.waitUntil(never);
      });
      ports.push((await supervisor.listen()).port);
    }
    const web = http.createServer(() => {});
    const supervised = supervise(web, { logger });
    await new Promise((resolve) => web.listen(0, host, resolve));
    const router = await routeConnections({ port: 0, host });
    const watching = monitor({ sources: { durable, secure, lined, supervised }, port: 0, host });
    ports.push(web.address().port, router.address.port, (await watching.listening()).port);

    // Each has a client that has said little or nothing. Then their paths stop in silence.
    const relays = await Promise.all(ports.map((port) => faultRelay({ port })));
    const said = ["", "", "one line\\n", "GET / HTTP/1.1\\r\\nHost: here\\r\\n\\r\\n", "", ""];
    const clients = relays.map(({ port }, n) => net.connect(port, host).on("error", () => {}).on("close", () => {}));
    for (const [n, client] of clients.entries()) await new Promise((resolve) => client.write(said[n], resolve));
    const manager = new ConnectionManager();
    const link = manager.open({ port: relays[0].port, host });
    await link.send("never taken");
    await link.connected();
    const pair = linkPair();
    await pair.client.send("to nobody");
    for (const relay of relays) {
      relay.latency(10);
      relay.blackHole();
    }
    relays[0].refuse();

    const closing = [durable, secure, lined, supervised, router, watching, manager].map((one) =>
      one.close({ deadlineMs: 200 }),
    );
    await Promise.all([...closing, pair[Symbol.asyncDispose]()]);
    await Promise.all(relays.map((relay) => relay.close()));
    for (const client of clients) client.destroy();
    console.log(JSON.stringify(await left()));
  `);
  return JSON.parse(output);
}
