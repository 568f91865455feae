/** The client of dnsmasq.ts, in its network: its links, what their lookups do, and the resolver. Prints the figures. */
import dns from "node:dns";
import { writeFile } from "node:fs/promises";
import type { LookupFunction } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ConnectionManager, type Link, lines, plain, srv } from "../../src/index.ts";
import { Child } from "../endurance/child.ts";
import type { NamesCommands } from "./names-server.ts";
import { readingMs } from "./reading.ts";
import { ServerProcess } from "./server-process.ts";

export interface NamesPlan {
  folder: string;
  /** dnsmasq. */
  command: string;
  links: number;
}

export interface NamesFigures {
  /** Links that were at the first target, after the order of the two had changed. */
  ordered: number;
  /** Links that were at the only target that was left. */
  left: number;
  /** That have reached the resolver. */
  srvQueries: number;
  stopped: {
    /** That began while the resolver had stopped. */
    lookups: number;
    /** Of one host, the most. */
    lookupsAtOnce: number;
    /** The 99th percentile of the time that it took meanwhile to read a file; and in another process, which was idle. */
    fileMs: number;
    idleFileMs: number;
    /** From when the resolver went on until all links were connected. */
    backMs: number;
  };
}

const SERVICE = "_herd._tcp.herd.test";
const HOSTS = {
  "one.herd.test": "127.0.0.11",
  "two.herd.test": "127.0.0.12",
  "three.herd.test": "127.0.0.13",
} as const;
type Host = keyof typeof HOSTS;
const PORT = 7_000;
const STOPPED_MS = 12_000;

const { folder, command, links: count } = JSON.parse(process.argv[2] ?? "") as NamesPlan;
const configuration = join(folder, "dnsmasq.conf");
// Not as a daemon it needs no other user, which this namespace does not have.
const args = ["--no-daemon", `--conf-file=${configuration}`];
const resolver = new ServerProcess({ folder, command, args, port: 53 });
const server = new Child<NamesCommands>(new URL("names-server.ts", import.meta.url), "server");
const manager = new ConnectionManager();
const back = new Set<Link>();
const looking = new Map<string, number>();
let lookups = 0;
let lookupsAtOnce = 0;

await resolves(["one.herd.test", "two.herd.test"]);
await server.call("listen", { port: PORT, addresses: Object.values(HOSTS) });
const endpoints = srv(SERVICE);
const links = Array.from({ length: count }, () => open({ endpoints }));
await manager.connected();

await resolves(["two.herd.test", "one.herd.test"]);
const ordered = await cutAndCount("two.herd.test");
await resolves(["one.herd.test"]);
const left = await cutAndCount("one.herd.test");
const srvQueries = resolver.output.split(`query[SRV] ${SERVICE} `).length - 1;
const figures: NamesFigures = { ordered, left, srvQueries, stopped: await resolverStops() };
console.log(JSON.stringify(figures));
await resolver.stop();
await server.stop();
process.exit(0);

function open(target: { endpoints: typeof endpoints } | { host: Host; port: number }): Link {
  const link = manager.open({ ...target, lookup, protocol: plain({ framing: lines() }) });
  link.on("state", ({ to }) => {
    if (to === "connected") back.add(link);
  });
  return link;
}

/** getaddrinfo, counted. */
function lookup(...[host, options, answer]: Parameters<LookupFunction>): void {
  const now = (looking.get(host) ?? 0) + 1;
  looking.set(host, now);
  lookups++;
  lookupsAtOnce = Math.max(lookupsAtOnce, now);
  dns.lookup(host, options, (...found) => {
    looking.set(host, (looking.get(host) ?? 0) - 1);
    answer(...found);
  });
}

/** The resolver, started anew, with the service at these targets: the first one comes first. */
async function resolves(targets: readonly Host[]): Promise<void> {
  await resolver.stop();
  const records = [
    ...Object.entries(HOSTS).map(([host, address]) => `address=/${host}/${address}`),
    ...targets.map((target, at) => `srv-host=${SERVICE},${target},${PORT},${10 * (at + 1)},0`),
  ];
  const own = ["port=53", "listen-address=127.0.0.1", "bind-interfaces", "no-resolv", "no-hosts", "local=/herd.test/"];
  await writeFile(configuration, [...own, "log-queries", "pid-file", ...records, ""].join("\n"));
  await resolver.start();
}

/** Answers how many links come back at this target. */
async function cutAndCount(target: Host): Promise<number> {
  await cut();
  await allBack();
  return links.filter(({ remoteAddress }) => remoteAddress === HOSTS[target]).length;
}

async function cut(): Promise<void> {
  back.clear();
  await server.call("cut", manager.links.size);
}

async function allBack(): Promise<void> {
  while (back.size < manager.links.size) await sleep(10);
}

/** As many links, of three hosts: a part of those of the service, and two of which the link knows the name. */
async function resolverStops(): Promise<NamesFigures["stopped"]> {
  for (const [at, link] of links.entries()) {
    if (at % 3 !== 0) link.abort();
  }
  for (const host of ["two.herd.test", "three.herd.test"] as const) {
    for (let n = 0; n < count / 3; n++) open({ host, port: PORT });
  }
  await manager.connected();
  lookups = 0;
  lookupsAtOnce = 0;
  resolver.signal("SIGSTOP");
  await cut();
  const reading = { path: configuration, ms: STOPPED_MS };
  const [fileMs, idleFileMs] = await Promise.all([readingMs(reading), server.call("readingMs", reading)]);
  const lookupsMeanwhile = lookups;
  resolver.signal("SIGCONT");
  const returnMs = performance.now();
  await allBack();
  const backMs = performance.now() - returnMs;
  return { lookups: lookupsMeanwhile, lookupsAtOnce, fileMs, idleFileMs, backMs };
}
