/** Supervisors behind a balancer, and with lists of who may connect. */
import { once } from "node:events";
import net from "node:net";
import { duplexPair } from "node:stream";
import { describe, expect, onTestFinished, test } from "vitest";
import { type AuthenticateRequest, ServerSupervisor } from "../../src/index.ts";
import { ipv4Header, ipv6Header, lineHeader, unixHeader } from "../io/proxy-header-bytes.ts";
import {
  certificate,
  echo,
  eventually,
  logKeeper,
  openTo,
  receiveText,
  relayTo,
  serve,
  socketPath,
  turned,
} from "../support.ts";
import { balancerTo, closed, connectWith } from "./balancer.ts";
import { lineClient, servePlain } from "./plain-servers.ts";

const LOOPBACK = { from: ["127.0.0.1"] };
const CLIENT = lineHeader("203.0.113.7");

test("a link through a balancer, with TLS, has its client's address everywhere, also when it resumes", async () => {
  const asked: string[] = [];
  const authenticate = ({ remoteAddress }: AuthenticateRequest): string => {
    asked.push(remoteAddress);
    return "somebody";
  };
  const pem = await certificate();
  const { port, links } = await serve({ tls: pem, proxyProtocol: LOOPBACK, authenticate }, echo);
  // The client goes to another network meanwhile.
  const headers = [CLIENT, ipv6Header([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], { checksum: true })];
  const relay = await relayTo(await balancerTo(port, () => headers.shift() ?? CLIENT));
  const client = openTo(relay.port, { tls: { ca: pem.cert } });
  await client.send("one");
  expect(await receiveText(client)).toBe("one");
  const link = await links.next();
  expect([link.remoteAddress, asked]).toEqual(["203.0.113.7", ["203.0.113.7"]]);
  const back = turned(client, "connected");
  relay.cut("rst");
  expect((await back).session).toBe("resumed");
  expect(asked).toEqual(["203.0.113.7", "2001:db8::1"]);
});

test.each<[string, Buffer, string]>([
  ["LOCAL", ipv4Header("203.0.113.7", { command: 0 }), "127.0.0.1"],
  ["UNKNOWN", Buffer.from("PROXY UNKNOWN\r\n"), "127.0.0.1"],
  ["a client on a Unix socket", unixHeader(), ""],
])("%s", async (_, header, remoteAddress) => {
  const { port, links } = await servePlain({ proxyProtocol: LOOPBACK });
  connectWith(Buffer.concat([header, Buffer.from("hello\n")]), { port, host: "127.0.0.1" });
  const link = await links.next();
  expect([link.remoteAddress, String(await link.receive())]).toEqual([remoteAddress, "hello"]);
});

test("limits count the clients of a balancer apart", async () => {
  const { lines: log, logger } = logKeeper();
  const limits = { connectionsPerAddress: 1 };
  const { port, links, supervisor } = await servePlain({ proxyProtocol: LOOPBACK, limits, logger });
  const to = (header: Buffer): net.Socket => connectWith(header, { port, host: "127.0.0.1" });
  const first = to(CLIENT);
  await links.next();
  await closed(to(lineHeader("::ffff:203.0.113.7", "TCP6")));
  to(lineHeader("203.0.113.8"));
  expect((await links.next()).remoteAddress).toBe("203.0.113.8");
  expect(supervisor.stats()).toMatchObject({ turnedAway: { connectionsPerAddress: 1 }, connections: { open: 2 } });
  expect(log.find(({ event }) => event === "server.refused")).toMatchObject({ remoteAddress: "203.0.113.7" });
  expect(first.destroyed).toBe(false);
});

test("a balancer on a Unix socket", async () => {
  const path = await socketPath();
  const { links } = await servePlain({ path, proxyProtocol: { from: ["unix"] } });
  connectWith(CLIENT, { path });
  expect((await links.next()).remoteAddress).toBe("203.0.113.7");
});

test.each<[string, (options: object) => Promise<{ port: number; supervisor: Pick<ServerSupervisor, "stats"> }>]>([
  ["durable", (options) => serve(options)],
  ["plain", (options) => servePlain(options)],
  ["TLS", async (options) => serve({ ...options, tls: await certificate() })],
])("%s: who is no balancer, or is slow, is closed, counted and logged", async (_, serving) => {
  const { lines: log, logger } = logKeeper();
  const { port, supervisor } = await serving({ timeouts: { handshakeMs: 150 }, proxyProtocol: LOOPBACK, logger });
  const to = (localAddress: string, bytes: Buffer): net.Socket =>
    connectWith(bytes, { port, host: "127.0.0.1", localAddress });
  await closed(to("127.0.0.2", CLIENT));
  const slow = to("127.0.0.1", CLIENT.subarray(0, 10));
  const drip = setInterval(() => slow.write("1"), 20);
  onTestFinished(() => clearInterval(drip));
  await eventually(() => expect(supervisor.stats().connections).toEqual({ open: 1, handshaking: 1 }));
  await closed(slow);
  expect(supervisor.stats()).toMatchObject({
    rejected: { "proxy protocol": 2 },
    connections: { open: 0, handshaking: 0 },
  });
  expect(log.filter(({ event }) => event === "server.rejected")).toEqual([
    expect.objectContaining({ remoteAddress: "127.0.0.2", detail: "not from a trusted network" }),
    expect.objectContaining({ remoteAddress: "127.0.0.1", detail: "no whole header within 150 ms" }),
  ]);
});

test("a hundred connections whose header never ends, dialled again whenever they are closed, keep nobody out", async () => {
  const { port, supervisor } = await serve({ proxyProtocol: LOOPBACK, limits: { connections: 100 } }, echo);
  const attackers = new Set<net.Socket>();
  let isOver = false;
  const attack = (): void => {
    const socket = net.connect(port, "127.0.0.1");
    attackers.add(socket);
    socket.on("error", () => {});
    socket.on("connect", () => socket.write("P"));
    socket.on("close", () => {
      attackers.delete(socket);
      if (!isOver) setTimeout(attack, 10);
    });
  };
  onTestFinished(() => {
    isOver = true;
    for (const socket of attackers) socket.destroy();
  });
  for (let at = 0; at < 100; at++) attack();
  await eventually(() => expect(supervisor.stats().turnedAway["handshakes"]).toBeGreaterThan(50));
  const balancer = await balancerTo(port, () => CLIENT);
  for (let at = 0; at < 5; at++) {
    const link = openTo(balancer);
    await link.connected({ signal: AbortSignal.timeout(1_000) });
    await link.send("hello");
    expect(await receiveText(link)).toBe("hello");
    await link.close();
  }
  const { connections, refused } = supervisor.stats();
  expect(connections.handshaking).toBeLessThanOrEqual(50);
  expect(refused["overloaded"]).toBeGreaterThan(50);
  expect(supervisor.health().status).toBe("degraded");
});

test("close() closes those whose header is awaited", async () => {
  const { port, supervisor } = await serve({ proxyProtocol: LOOPBACK });
  const gone = closed(connectWith(CLIENT.subarray(0, 3), { port, host: "127.0.0.1" }));
  await eventually(() => expect(supervisor.stats().connections.open).toBe(1));
  await Promise.all([supervisor.close(), gone]);
  expect(supervisor.stats().rejected).toEqual({});
});

test.runIf(process.platform === "linux")("the descriptors of those whose header is awaited count", async () => {
  const { lines: log, logger } = logKeeper();
  const limits = { connections: 5_000_000, handshakes: 700 };
  await serve({ proxyProtocol: LOOPBACK, limits, logger });
  const line = log.find(({ event }) => event === "server.descriptors");
  expect(Number(line?.["needed"]) - Number(line?.["open"])).toBe(5_000_000 + 700 + 32);
});

describe("allow and deny", () => {
  test("before TLS: who is denied is told nothing, and nothing is spent on it", async () => {
    const { lines: log, logger } = logKeeper();
    const { port, supervisor } = await serve({ tls: await certificate(), deny: ["127.0.0.0/8"], logger });
    await closed(connectWith(Buffer.from("16030100", "hex"), { port, host: "127.0.0.1" }));
    expect(supervisor.stats()).toMatchObject({ rejected: { denied: 1 }, connections: { open: 0 } });
    expect(log.filter(({ event }) => event === "server.rejected")).toEqual([
      expect.objectContaining({ reason: "denied", remoteAddress: "127.0.0.1" }),
    ]);
  });

  test("may be changed while clients are served: those that are there stay", async () => {
    const { port, links, supervisor } = await servePlain({ allow: ["127.0.0.1", "127.0.0.2"] });
    const kept = lineClient(port);
    const link = await links.next();
    await closed(lineClient(port, { localAddress: "127.0.0.3" }).socket);
    supervisor.setAccess({ deny: ["127.0.0.1"] });
    await closed(lineClient(port).socket);
    kept.say("hello");
    expect(String(await link.receive())).toBe("hello");
    lineClient(port, { localAddress: "127.0.0.2" });
    expect((await links.next()).remoteAddress).toBe("127.0.0.2");
    expect(supervisor.stats()).toMatchObject({ rejected: { denied: 2 }, connections: { open: 2 } });
  });

  test("hold for streams from elsewhere, by the address that is given", () => {
    const supervisor = new ServerSupervisor({ deny: ["203.0.113.7"] });
    supervisor.serve(() => {});
    onTestFinished(() => void supervisor.close({ deadlineMs: 0 }));
    const streams = ["203.0.113.7", "::ffff:cb00:7107", "203.0.113.8", undefined].map((remoteAddress) => {
      const [, theirs] = duplexPair();
      supervisor.accept(theirs, remoteAddress === undefined ? {} : { remoteAddress });
      return theirs.destroyed;
    });
    expect(streams).toEqual([true, true, false, false]);
    expect(supervisor.stats()).toMatchObject({ rejected: { denied: 2 }, connections: { open: 2 } });
  });
});

test("a socket that is handed over is not asked for a header", async () => {
  const { supervisor, links } = await servePlain({ proxyProtocol: LOOPBACK });
  const server = net.createServer((socket) => supervisor.accept(socket));
  onTestFinished(() => void server.close());
  await once(server.listen(0, "127.0.0.1"), "listening");
  lineClient((server.address() as net.AddressInfo).port).say("PROXY");
  const link = await links.next();
  expect([link.remoteAddress, String(await link.receive())]).toEqual(["127.0.0.1", "PROXY"]);
});
