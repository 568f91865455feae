/** What is seen from outside, as Prometheus sees it. */
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { text } from "node:stream/consumers";
import {
  lines,
  type Link,
  type Monitor,
  monitor,
  plain,
  type PlainProtocol,
  ServerSupervisor,
  supervise,
} from "../../src/index.ts";
import { faultRelay } from "../../src/testing/index.ts";
import { installed } from "../real/install.ts";
import type { RealScenario, RealStage } from "../real/stage.ts";

const WHERE = { port: 0, host: "127.0.0.1" };
const LINKS = 5_000;
const SCRAPES = 20;

/** An echo, until the scenario is over. */
function echo<S extends ServerSupervisor | ServerSupervisor<PlainProtocol>>(stage: RealStage, supervisor: S): S {
  supervisor.serve(async (link: Link) => {
    for await (const message of link) await link.send(message);
  });
  stage.onClose(() => supervisor.close({ deadlineMs: 0 }));
  return supervisor;
}

function watch(stage: RealStage, sources: Parameters<typeof monitor>[0]["sources"]): Monitor {
  const watched = monitor({ port: 0, sources });
  stage.onClose(() => watched.close());
  return watched;
}

async function scrape(port: number): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}/metrics`);
  if (!response.ok) throw new Error(`/metrics answered ${response.status}: ${await response.text()}`);
  return response.text();
}

/** The text of durable, plain and supervised servers, one of them overloaded, and of a manager whose connections were cut. */
async function checkedByPromtool(stage: RealStage): Promise<void> {
  const promtool = installed("promtool", "prometheus");
  const custom = { "jobs, urgent": { low: 1, high: 2, dwellMs: 0, read: () => 3 } };
  const durable = echo(stage, new ServerSupervisor({ ...WHERE, resources: { custom }, dryRun: true }));
  const isOverloaded = new Promise((resolve) => durable.once("overload", resolve));
  const framed = echo(stage, new ServerSupervisor({ ...WHERE, protocol: plain({ framing: lines() }) }));
  const manager = stage.manager();
  const relay = await faultRelay({ port: (await durable.listen()).port });
  stage.onClose(() => relay.close());
  const { port } = await framed.listen();
  const link = manager.open({ port: relay.port, host: "127.0.0.1" });
  const asking = manager.open({ port, host: "127.0.0.1", protocol: plain({ framing: lines(), requests: {} }) });
  for (let cut = 0; cut < 5; cut++) {
    await link.send("message", { until: "accepted" });
    await asking.request("question");
    relay.cut("rst");
  }
  const server = http.createServer();
  const supervised = supervise(server, { resources: { custom }, dryRun: true });
  stage.onClose(() => supervised.close({ deadlineMs: 0 }));
  await once(server.listen(0, "127.0.0.1"), "listening");
  await Promise.all([isOverloaded, new Promise((resolve) => supervised.once("overload", resolve))]);
  const watched = await watch(stage, { durable, framed, supervised, manager }).listening();
  const metrics = await scrape(watched.port);
  const { status, stdout, stderr } = spawnSync(promtool, ["check", "metrics"], { input: metrics, encoding: "utf8" });
  const complaints = `${stdout}${stderr}`.trim();
  stage.row({
    what: "complaints of promtool check metrics",
    figure: complaints === "" && status === 0 ? 0 : Math.max(1, complaints.split("\n").length),
    bound: 0,
    unit: "",
    note: complaints === "" ? `${metrics.split("\n").length} lines` : complaints,
  });
}

async function manyLinks(stage: RealStage): Promise<void> {
  const limits = { connections: 2 * LINKS, sessions: LINKS, opensPerSecond: LINKS };
  // Both ends are in this process: while all connect, its event loop lags.
  const supervisor = echo(stage, new ServerSupervisor({ ...WHERE, limits, resources: { lag: false } }));
  const { port } = await supervisor.listen();
  const manager = stage.manager({ maxDialsPerSecond: LINKS });
  const many = stage.scaled(LINKS, 100);
  for (let opened = 0; opened < many; opened++) manager.open({ port, host: "127.0.0.1" });
  await manager.connected();
  const watched = await watch(stage, [manager, supervisor]).listening();
  await scrape(watched.port);
  const times: number[] = [];
  let bytes = 0;
  for (let scraped = 0; scraped < SCRAPES; scraped++) {
    const fromMs = performance.now();
    bytes = (await scrape(watched.port)).length;
    times.push(performance.now() - fromMs);
  }
  const note = `${many} links at both ends in one process`;
  stage.row({ what: "the quickest scrape", figure: Math.min(...times), bound: 250, unit: "ms", note });
  stage.row({ what: "the text, whatever the number of links", figure: bytes, bound: 65_536, unit: "bytes" });
}

/** A connection that asks nothing, and one whose request comes a byte a second, are closed. */
async function silentProbes(stage: RealStage): Promise<void> {
  const { port } = await watch(stage, [echo(stage, new ServerSupervisor(WHERE))]).listening();
  const closedAfter = async (talk: (socket: net.Socket) => void): Promise<number> => {
    const socket = net.connect(port, "127.0.0.1").on("error", () => {});
    await once(socket, "connect");
    const fromMs = performance.now();
    talk(socket);
    await text(socket).catch(() => "");
    socket.destroy();
    return performance.now() - fromMs;
  };
  const drip = (socket: net.Socket): void => {
    const bytes = Buffer.from("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").values();
    const timer = setInterval(() => void socket.write(Buffer.of(bytes.next().value ?? 0)), 1_000);
    socket.once("close", () => clearInterval(timer));
  };
  const [silent, slow] = await Promise.all([closedAfter(() => {}), closedAfter(drip)]);
  stage.row({ what: "a silent connection is closed after", figure: silent, bound: 8_000, unit: "ms" });
  stage.row({ what: "a request of a byte a second is closed after", figure: slow, bound: 8_000, unit: "ms" });
}

export const METRICS: readonly RealScenario[] = [
  { name: "metrics promtool", about: "promtool check metrics has nothing to say", run: checkedByPromtool },
  { name: "metrics links", about: `a scrape of ${LINKS.toLocaleString("en")} links`, run: manyLinks },
  { name: "metrics silent", about: "connections to the monitor that ask nothing", run: silentProbes },
];
