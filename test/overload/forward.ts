/**
 * Four server processes and a client: 200 links, five cuts of all of them. Each process forwards a resume to the one that
 * has its session: 1,000 resumes, none lost, none doubled. Then one process is killed, and only its sessions are lost.
 *
 *     node test/overload/forward.ts
 */
import { fork } from "node:child_process";
import cluster from "node:cluster";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ConnectionManager, type Link } from "../../src/index.ts";
import { type Balancer, balance } from "../balancer.ts";
import { type Certificate, certificate } from "../certificate.ts";
import type { Order, Told } from "./forward-server.ts";

const PROCESSES = 4;
const LINKS = 200;
const CUTS = 5;
/** What takes longer has not worked. */
const MOST_MS = 180_000;
const SERVER = new URL("forward-server.ts", import.meta.url);

interface Server {
  port: number;
  /** Ends it with SIGKILL. */
  kill(): Promise<void>;
}

/** With a port of its own each, or all with one that the cluster shares. */
async function startServers(dir: string, tls: Certificate | undefined, isShared: boolean): Promise<Server[]> {
  const servers: Server[] = [];
  for (let n = 0; n < PROCESSES; n++) {
    const child = isShared ? cluster.fork() : fork(SERVER);
    if (isShared) await once(child, "message");
    // In a cluster all workers get the same free port.
    const order: Order = { dir, tls };
    child.send(order);
    const [{ port }] = (await once(child, "message")) as [Told];
    const killed = "process" in child ? child.process : child;
    servers.push({
      port,
      kill: async () => {
        if (killed.signalCode !== null) return;
        const exited = once(killed, "exit");
        killed.kill("SIGKILL");
        await exited;
      },
    });
  }
  return servers;
}

interface Counts {
  resumes: number;
  lost: number;
  doubled: number;
  missing: number;
}

/** Each link sends a number and is cut before it hears it. */
async function cutAll(links: readonly Link[], balancer: Balancer): Promise<Counts> {
  const sessions = links.map(({ sessionId }) => sessionId);
  const heard = links.map(() => new Map<string, number>());
  let resumes = 0;
  for (const link of links)
    link.on("state", (change) => {
      if (change.to === "connected" && change.session === "resumed") resumes++;
    });
  for (let cut = 0; cut < CUTS; cut++) {
    await Promise.all(links.map((link) => link.send(String(cut))));
    balancer.cut();
    await Promise.all(
      links.map(async (link, n) => {
        const text = String(await link.receive());
        heard[n]?.set(text, (heard[n]?.get(text) ?? 0) + 1);
      }),
    );
  }
  await Promise.all(links.map((link) => link.flush()));
  return {
    resumes,
    lost: links.filter(({ sessionId }, n) => sessionId !== sessions[n]).length,
    doubled: heard.filter((times) => [...times.values()].some((each) => each > 1)).length,
    missing: heard.filter(({ size }) => size !== CUTS).length,
  };
}

/** One server process dies: which links have lost their session, and which were told so. */
async function killOne(links: readonly Link[], servers: readonly Server[], balancer: Balancer): Promise<string> {
  const [dead, ...alive] = servers as [Server, ...Server[]];
  const sessions = links.map(({ sessionId }) => sessionId);
  let told = 0;
  for (const link of links)
    link.on("state", (change) => {
      if (change.to === "connected" && change.session === "new" && change.reason === "session-lost") told++;
    });
  await Promise.all(links.map((link) => link.send("in flight when a process dies")));
  await Promise.all(links.map((link) => link.receive()));
  await dead.kill();
  balancer.route(alive.map(({ port }) => port));
  await Promise.all(links.map((link) => link.send("after it has died")));
  balancer.cut();
  await Promise.all(links.map((link) => link.flush().catch(() => {})));
  await Promise.all(links.map((link) => link.connected()));
  const lost = links.filter(({ sessionId }, n) => sessionId !== sessions[n]).length;
  const share = LINKS / PROCESSES;
  if (lost !== share) throw new Error(`${lost} sessions lost, and the process that died had ${share}`);
  if (told !== lost) throw new Error(`${lost} sessions lost, and ${told} links told so`);
  return `one killed with SIGKILL: its ${lost} sessions lost and told so, ${LINKS - lost} go on`;
}

async function row(name: string, isTls: boolean, isShared: boolean): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), "resplice-forward-"));
  const tls = isTls ? await certificate() : undefined;
  const servers = await startServers(dir, tls, isShared);
  const balancer = await balance(servers.map(({ port }) => port));
  const manager = new ConnectionManager({ maxDialsPerSecond: 1_000 });
  try {
    const beganMs = performance.now();
    const to = { port: balancer.port, host: tls === undefined ? "127.0.0.1" : "localhost" };
    const options = tls === undefined ? to : { ...to, tls: { ca: tls.cert } };
    // One after the other, so that each process opens as many.
    const links: Link[] = [];
    for (let n = 0; n < LINKS; n++) {
      const link = manager.open(options);
      await link.connected();
      links.push(link);
    }
    const { resumes, lost, doubled, missing } = await cutAll(links, balancer);
    const tookMs = performance.now() - beganMs;
    const counts = `${resumes} resumes, ${lost} sessions lost, ${doubled} doubled, ${missing} incomplete`;
    console.log(`${name}: ${counts}, ${(tookMs / 1_000).toFixed(1)} s`);
    if (resumes < LINKS * CUTS || lost + doubled + missing > 0) throw new Error(`${name}: ${counts}`);
    if (!isShared) console.log(`${name}: ${await killOne(links, servers, balancer)}`);
  } finally {
    await manager.close({ deadlineMs: 0 });
    balancer.close();
    await Promise.all(servers.map((server) => server.kill()));
    await rm(dir, { recursive: true, force: true });
  }
}

async function main(): Promise<void> {
  cluster.setupPrimary({ exec: SERVER.pathname });
  const late = setTimeout(() => {
    console.log(`not done after ${MOST_MS} ms`);
    process.exit(1);
  }, MOST_MS);
  await row("a balancer", false, false);
  await row("a balancer, TLS", true, false);
  await row("one port, node:cluster", false, true);
  clearTimeout(late);
  process.exit(0);
}

await main();
