/** Servers behind a balancer that knows nothing of sessions. Real sockets. */
import { existsSync } from "node:fs";
import { chmod, mkdtemp, readdir, rename, rm, unlink } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PeerCertificate } from "node:tls";
import { expect, onTestFinished, test } from "vitest";
import {
  type AuthenticateRequest,
  type ForwardAddress,
  type ForwardOptions,
  type ForwardRegistry,
  type OpenOptions,
  ServerSupervisor,
  type ServerSupervisorOptions,
} from "../../../src/index.ts";
import { type Balancer, balance } from "../../balancer.ts";
import { certificate, echo, eventually, failure, heard, logKeeper, openTo, type Served, serve } from "../../support.ts";

const MANY = { links: 20, cuts: 10 };
const FEW = { links: 6, cuts: 2 };
/** On a machine that is busy with other things. */
const PATIENT_MS = 60_000;

/** One that only this user can use. */
async function folder(): Promise<{ dir: string }> {
  const dir = await mkdtemp(join(tmpdir(), "resplice-"));
  onTestFinished(() => rm(dir, { recursive: true, force: true }));
  return { dir };
}

/** As a Redis hash would keep it. */
function registry(): ForwardRegistry & { servers: Map<string, ForwardAddress> } {
  const servers = new Map<string, ForwardAddress>();
  return {
    servers,
    announce: async (id, address) => void servers.set(id, address),
    find: async (id) => servers.get(id),
    withdraw: async (id) => void servers.delete(id),
  };
}

interface Cluster {
  servers: Served[];
  balancer: Balancer;
}

async function cluster(forward: ForwardOptions, options: Partial<ServerSupervisorOptions> = {}): Promise<Cluster> {
  const servers = [await serve({ forward, ...options }, echo), await serve({ forward, ...options }, echo)];
  const balancer = await balance(servers.map(({ port }) => port));
  onTestFinished(() => balancer.close());
  return { servers, balancer };
}

/** The socket of each of two servers, in the order in which they have begun to listen. */
async function inFolder(): Promise<Cluster & { sockets: [string, string] }> {
  const forward = await folder();
  const first = await serve({ forward }, echo);
  const [socket] = (await readdir(forward.dir)) as [string];
  const second = await serve({ forward }, echo);
  const [other] = (await readdir(forward.dir)).filter((name) => name !== socket) as [string];
  const balancer = await balance([first.port]);
  onTestFinished(() => balancer.close());
  return { servers: [first, second], balancer, sockets: [join(forward.dir, socket), join(forward.dir, other)] };
}

function stats({ servers }: Cluster) {
  return servers.map(({ supervisor }) => supervisor.stats());
}

/** Each link says where it is after each cut, and hears everything once and in order, in the session it has opened. */
async function survivesCuts(
  all: Cluster,
  { links: many, cuts }: { links: number; cuts: number },
  options: OpenOptions = {},
): Promise<void> {
  const { balancer } = all;
  const links = Array.from({ length: many }, () => {
    const link = openTo(balancer.port, options);
    link.on("state", ({ to }) => {
      if (to === "reconnecting") link.retryNow();
    });
    return link;
  });
  await Promise.all(links.map((link) => link.connected()));
  const sessions = links.map(({ sessionId }) => sessionId);
  const heardBy = links.map(() => [] as string[]);
  const cutAndHear = async (text: string): Promise<void> => {
    await Promise.all(links.map((link) => link.send(text)));
    expect(balancer.cut()).toBeGreaterThanOrEqual(many);
    await Promise.all(links.map(async (link, n) => void heardBy[n]?.push(String(await link.receive()))));
  };
  for (let cut = 0; cut < cuts; cut++) await cutAndHear(`${cut}`);
  balancer.route([all.servers[0]?.port as number]);
  await cutAndHear("all at the first");
  expect(links.map(({ sessionId }) => sessionId)).toEqual(sessions);
  const said = [...Array.from({ length: cuts }, (_, cut) => `${cut}`), "all at the first"];
  for (const texts of heardBy) expect(texts).toEqual(said);
  const [first, second] = stats(all);
  expect(first?.forwarded).toBe(second?.sessions.connected);
  expect(first?.connections.open).toBe(many);
  expect(second?.sessions.connected).toBeGreaterThan(0);
}

test(
  "20 links behind a round-robin balancer lose nothing in 10 cuts",
  async () => {
    await survivesCuts(await cluster(await folder()), MANY);
  },
  PATIENT_MS,
);

test(
  "the same with TLS, and the owner is shown the client's address and certificate",
  async () => {
    const server = await certificate();
    const client = await certificate("client.example");
    const asked: AuthenticateRequest[] = [];
    const all = await cluster(await folder(), {
      tls: { ...server, ca: client.cert, requestCert: true },
      authenticate: (request) => {
        asked.push(request);
        return "client";
      },
    });
    await survivesCuts(all, { ...MANY, cuts: 4 }, { tls: { ...client, ca: server.cert, host: "localhost" } });
    const names = asked.map(({ certificate: shown }) => (shown as PeerCertificate).subject.CN);
    expect(new Set(names)).toEqual(new Set(["client.example"]));
    expect(new Set(asked.map(({ remoteAddress }) => remoteAddress))).toEqual(new Set(["127.0.0.1"]));
    const fingerprints = new Set(asked.map(({ certificate: shown }) => shown?.fingerprint256));
    expect(fingerprints.size).toBe(1);
  },
  PATIENT_MS,
);

test("between hosts that share a key", async () => {
  const key = "k".repeat(32);
  await survivesCuts(await cluster({ registry: registry(), listen: { host: "127.0.0.1", port: 0 }, key }), FEW);
});

test("between hosts with certificates of their own", async () => {
  const own = await certificate("servers.example");
  const tls = { ...own, ca: own.cert, servername: "servers.example" };
  await survivesCuts(await cluster({ registry: registry(), listen: { host: "127.0.0.1", port: 0 }, tls }), FEW);
});

test("where a server is not there any more its sessions are lost, and no others", async () => {
  const { servers, balancer, sockets } = await inFolder();
  const [, alive] = servers as [Served, Served];
  const lost = openTo(balancer.port);
  await lost.connected();
  balancer.route([alive.port]);
  const kept = openTo(balancer.port);
  await kept.connected();
  const { sessionId } = kept;
  await unlink(sockets[0]);
  await lost.send("in flight");
  await lost.receive();
  const before = lost.sessionId;
  const connected = heard(lost, "state");
  balancer.cut();
  expect(await connected).toMatchObject({ to: "reconnecting" });
  await lost.connected();
  expect(lost.sessionId).not.toBe(before);
  await kept.send("still here");
  expect([String(await kept.receive()), kept.sessionId]).toEqual(["still here", sessionId]);
});

test(
  "where a server is there and takes nothing the client comes back later, and has lost nothing",
  async () => {
    const { servers, balancer, sockets } = await inFolder();
    const [, other] = servers as [Served, Served];
    const [socket] = sockets;
    const link = openTo(balancer.port);
    await link.connected();
    const { sessionId } = link;
    await rename(socket, `${socket}.aside`);
    const full = net.createServer((accepted) => accepted.destroy());
    await new Promise<void>((resolve) => {
      full.listen(socket, resolve);
    });
    balancer.route([other.port]);
    balancer.cut();
    await eventually(() => expect(other.supervisor.stats().refused).toEqual({ overloaded: 1 }));
    full.close();
    await rename(`${socket}.aside`, socket);
    await link.send("and back");
    expect([String(await link.receive()), link.sessionId]).toEqual(["and back", sessionId]);
  },
  PATIENT_MS,
);

test("where somebody has emptied the folder nothing is lost", async () => {
  const { servers, balancer, sockets } = await inFolder();
  const [, other] = servers as [Served, Served];
  const link = openTo(balancer.port);
  await link.connected();
  const { sessionId } = link;
  await Promise.all(sockets.map((socket) => unlink(socket)));
  balancer.route([other.port]);
  balancer.cut();
  await eventually(() => expect(other.supervisor.stats().refused).toEqual({ overloaded: 1 }));
  expect(link.sessionId).toBe(sessionId);
});

test("a server that drains takes what is forwarded to it, and removes its socket last", async () => {
  const { servers, balancer, sockets } = await inFolder();
  const [going, other] = servers as [Served, Served];
  const link = openTo(balancer.port);
  await link.send("before");
  expect(String(await link.receive())).toBe("before");
  const reasons: string[] = [];
  link.on("state", ({ to, reason }) => {
    if (to === "connected") reasons.push(reason);
  });
  balancer.route([other.port]);
  const closing = going.supervisor.close({ deadlineMs: 30_000 });
  balancer.cut();
  const report = await closing;
  await link.send("after");
  expect(String(await link.receive())).toBe("after");
  expect([report.left, reasons]).toEqual([0, ["resumed", "moved"]]);
  expect([existsSync(sockets[0]), existsSync(sockets[1])]).toEqual([false, true]);
});

test(
  "a registry that throws, or answers nonsense: the client comes back later, and the log says so",
  async () => {
    const known = registry();
    let answer: (id: string) => unknown = () => {
      throw new Error("no Redis");
    };
    const { logger, lines } = logKeeper();
    const key = "k".repeat(32);
    const forward = (logged: ForwardRegistry): ForwardOptions => ({
      registry: logged,
      listen: { host: "127.0.0.1", port: 0 },
      key,
    });
    const owner = await serve({ forward: forward(known) }, echo);
    const failing = { ...known, find: (id: string) => answer(id) as ForwardAddress };
    const other = await serve({ forward: forward(failing), logger }, echo);
    const balancer = await balance([owner.port]);
    onTestFinished(() => balancer.close());
    const link = openTo(balancer.port);
    await link.connected();
    const { sessionId } = link;
    balancer.route([other.port]);
    balancer.cut();
    await eventually(() => expect(other.supervisor.stats().refused).toEqual({ overloaded: 1 }));
    answer = () => "10.0.0.1:7000";
    link.retryNow();
    await eventually(() => expect(other.supervisor.stats().refused).toEqual({ overloaded: 2 }));
    const failed = lines.filter(({ event }) => event === "server.forward-failed");
    expect(failed.map(({ part, detail }) => [part, detail])).toEqual([
      ["find", "no Redis"],
      ["find", "forward.registry.find() answered neither { host, port } nor undefined"],
    ]);
    answer = (id) => known.find(id, { signal: AbortSignal.timeout(1_000) });
    link.retryNow();
    await link.send("and back");
    expect([String(await link.receive()), link.sessionId]).toEqual(["and back", sessionId]);
  },
  PATIENT_MS,
);

test("where the registry knows no such server the session is lost; close() withdraws the server", async () => {
  const known = registry();
  const forward = { registry: known, listen: { host: "127.0.0.1", port: 0 }, key: "k".repeat(32) };
  const { servers, balancer } = await cluster(forward);
  const [owner, other] = servers as [Served, Served];
  balancer.route([owner.port]);
  const link = openTo(balancer.port);
  await link.connected();
  const { sessionId } = link;
  const [first] = known.servers.keys();
  known.servers.delete(String(first));
  balancer.route([other.port]);
  balancer.cut();
  await heard(link, "state");
  await link.connected();
  expect(link.sessionId).not.toBe(sessionId);
  await link.close();
  await other.supervisor.close();
  expect(known.servers.size).toBe(0);
});

test("a wrong key lets nobody in", async () => {
  const known = registry();
  const listen = { host: "127.0.0.1", port: 0 };
  const owner = await serve({ forward: { registry: known, listen, key: "k".repeat(32) } }, echo);
  const other = await serve({ forward: { registry: known, listen, key: "x".repeat(32) } }, echo);
  const balancer = await balance([owner.port]);
  onTestFinished(() => balancer.close());
  const link = openTo(balancer.port);
  await link.connected();
  balancer.route([other.port]);
  balancer.cut();
  await eventually(() => expect(owner.supervisor.stats().rejected).toEqual({ forward: 1 }));
  expect(owner.supervisor.stats().connections.handshaking).toBe(0);
  await eventually(() => expect(other.supervisor.stats().refused).toEqual({ overloaded: 1 }));
});

test("listen() rejects where others could use the folder, and where the registry refuses", async () => {
  const { dir } = await folder();
  await chmod(dir, 0o750);
  const server = new ServerSupervisor({ port: 0, host: "127.0.0.1", forward: { dir } });
  server.serve(() => {});
  const error = await failure(server.listen());
  expect([error.code, error.message]).toEqual([
    "LISTEN_FAILED",
    `forward.dir ${dir} cannot be used: its mode is 0750: chmod it to 0700`,
  ]);
  const refusing = { ...registry(), announce: () => Promise.reject(new Error("read only")) };
  const forward = { registry: refusing, listen: { host: "127.0.0.1", port: 0 }, key: "k".repeat(32) };
  const another = new ServerSupervisor({ port: 0, host: "127.0.0.1", forward });
  another.serve(() => {});
  expect(await failure(another.listen())).toMatchObject({
    code: "LISTEN_FAILED",
    message: "forward.registry.announce() failed: read only",
  });
});
