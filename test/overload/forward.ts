/**
 * Four server processes and a client: 200 links, five cuts of all of them. Each resume gets to the process that has its
 * session: 1,000 resumes, none lost, none doubled. Then one process is killed, and only its sessions are lost.
 */
import { fork } from "node:child_process";
import cluster from "node:cluster";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Link, routeConnections } from "../../src/index.ts";
import { type Balancer, balance } from "../balancer.ts";
import { type Certificate, certificate } from "../certificate.ts";
import type { Order, Told } from "./forward-server.ts";
import type { OverloadScenario, OverloadStage } from "./stage.ts";

const PROCESSES = 4;
const LINKS_OF_EACH = 50;
const CUTS = 5;
const SERVER = new URL("forward-server.ts", import.meta.url);

interface Way {
  isTls: boolean;
  /** Workers of node:cluster with one port, or processes with a port each. */
  isCluster: boolean;
  /** A router hands the connections over: nothing is forwarded. */
  isRouted: boolean;
}

const WAYS: ReadonlyArray<[name: string, about: string, way: Way]> = [
  ["forward", "four processes behind a balancer", { isTls: false, isCluster: false, isRouted: false }],
  ["forward TLS", "the same with TLS", { isTls: true, isCluster: false, isRouted: false }],
  ["forward cluster", "four workers on one port, which forward", { isTls: false, isCluster: true, isRouted: false }],
  ["router", "four workers behind a router", { isTls: false, isCluster: true, isRouted: true }],
];

export const FORWARD: readonly OverloadScenario[] = WAYS.map(([name, about, way]) => ({
  name,
  about,
  run: (stage) => play(stage, way),
}));

interface Server {
  port: number;
  /** Ends it with SIGKILL. */
  kill(): Promise<void>;
}

async function startServers(
  stage: OverloadStage,
  { isCluster, isRouted }: Way,
  tls: Certificate | undefined,
): Promise<Server[]> {
  cluster.setupPrimary({ exec: fileURLToPath(SERVER) });
  if (isRouted) {
    const router = await routeConnections({ port: 0, host: "127.0.0.1" });
    stage.onClose(() => router.close());
  }
  const order: Order = { dir: isRouted ? undefined : join(stage.folder, "sockets"), tls };
  const servers: Server[] = [];
  for (let n = 0; n < PROCESSES; n++) {
    const child = isCluster ? cluster.fork() : fork(SERVER);
    const killed = "process" in child ? child.process : child;
    const kill = async (): Promise<void> => {
      if (killed.signalCode !== null) return;
      const exited = once(killed, "exit");
      killed.kill("SIGKILL");
      await exited;
    };
    stage.onClose(kill);
    if (isCluster) await once(child, "message");
    // In a cluster all workers get the same free port.
    child.send(order);
    // Two messages may come at once, of which once() would hear the first.
    const port = await new Promise<number>((resolve) => {
      child.on("message", (told: Partial<Told>) => {
        if (told.port !== undefined && !("resplice" in told)) resolve(told.port);
      });
    });
    servers.push({ port, kill });
  }
  return servers;
}

/** Each link sends a number and is cut before it hears it. */
async function cutAll(stage: OverloadStage, links: readonly Link[], balancer: Balancer): Promise<void> {
  const sessions = links.map(({ sessionId }) => sessionId);
  const heard = links.map(() => new Map<string, number>());
  let resumes = 0;
  for (const link of links)
    link.on("state", (change) => {
      if (change.to === "connected" && change.session === "resumed") resumes++;
    });
  const beganMs = performance.now();
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
  const note = `${((performance.now() - beganMs) / 1_000).toFixed(1)} s`;
  stage.row({ what: "resumes", figure: resumes, bound: links.length * CUTS, is: "at least", unit: "", note });
  const faults = {
    "sessions lost": links.filter(({ sessionId }, n) => sessionId !== sessions[n]).length,
    "links with a message twice": heard.filter((times) => [...times.values()].some((each) => each > 1)).length,
    "links without a message": heard.filter(({ size }) => size !== CUTS).length,
  };
  for (const [what, figure] of Object.entries(faults)) stage.row({ what, figure, bound: 0, unit: "" });
}

/** One server process dies: which links have lost their session, and which were told so. */
async function killOne(
  stage: OverloadStage,
  links: readonly Link[],
  servers: readonly Server[],
  balancer: Balancer,
): Promise<void> {
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
  const share = links.length / PROCESSES;
  const note = `of ${links.length}, when one of ${PROCESSES} processes is killed`;
  stage.row({ what: "sessions lost with it, more or less", figure: Math.abs(lost - share), bound: 0, unit: "", note });
  stage.row({ what: "lost, and not told so", figure: lost - told, bound: 0, unit: "", note: `${told} told` });
}

async function play(stage: OverloadStage, way: Way): Promise<void> {
  const tls = way.isTls ? await certificate() : undefined;
  const servers = await startServers(stage, way, tls);
  const balancer = await balance(servers.map(({ port }) => port));
  stage.onClose(() => balancer.close());
  const manager = stage.manager({ maxDialsPerSecond: 1_000 });
  const to = { port: balancer.port, host: way.isTls ? "localhost" : "127.0.0.1" };
  const options = tls === undefined ? to : { ...to, tls: { ca: tls.cert } };
  // One after the other, so that each process opens as many.
  const links: Link[] = [];
  for (let n = 0; n < PROCESSES * stage.scaled(LINKS_OF_EACH, 2); n++) {
    const link = manager.open(options);
    await link.connected();
    links.push(link);
  }
  await cutAll(stage, links, balancer);
  // Which worker a connection to a shared port gets is for node:cluster to say.
  if (!way.isCluster || way.isRouted) await killOne(stage, links, servers, balancer);
}
