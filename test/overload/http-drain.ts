/** A supervised HTTP server on Node 22, 24 and 26 is drained under load, and is full of hostile connections. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { quantile } from "../../src/telemetry/metrics.ts";
import type { Child } from "../endurance/child.ts";
import type { HttpServerCommands } from "./http-server.ts";
import { autocannon } from "./install.ts";
import type { OverloadScenario, OverloadStage } from "./stage.ts";

const MODULE = new URL("http-server.ts", import.meta.url);
const NODES = ["22", "24", "26"];
const CLIENTS = 200;
const HOSTILE = 2_000;
const HOSTILE_ADDRESSES = 50;
/** A hostile client that was closed comes again after this, or up to twice as much. */
const COME_AGAIN_MS = 2_000;

async function serve(
  stage: OverloadStage,
  major: string,
  options: Parameters<HttpServerCommands["listen"]>[0],
): Promise<{ server: Child<HttpServerCommands>; port: number }> {
  const server = stage.child<HttpServerCommands>(MODULE, major, "", major);
  return { server, port: await server.call("listen", options) };
}

/** Of a client's attempts: answered, refused by the system as nobody listens any more, or failed with this code. */
type Outcome = "answered" | "refused" | (string & {});

async function get(port: number, agent: http.Agent): Promise<Outcome> {
  try {
    const [response] = (await once(http.get({ port, host: "127.0.0.1", agent }), "response")) as [http.IncomingMessage];
    response.resume();
    await once(response, "end");
    return response.statusCode === 200 ? "answered" : `status ${response.statusCode}`;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === "ECONNREFUSED" ? "refused" : (code ?? String(error));
  }
}

async function keptAlive(stage: OverloadStage, major: string): Promise<void> {
  const { server, port } = await serve(stage, major, { kind: "http", limits: { acceptsPerSecond: 10_000 } });
  const number = stage.scaled(CLIENTS, 20);
  const agent = new http.Agent({ keepAlive: true });
  stage.onClose(() => agent.destroy());
  const failures: Outcome[] = [];
  let answered = 0;
  const first = await Promise.all(Array.from({ length: number }, () => get(port, agent)));
  failures.push(...first.filter((outcome) => outcome !== "answered"));
  const clients = Array.from({ length: number }, async () => {
    for (;;) {
      await sleep(40 * Math.random());
      const outcome = await get(port, agent);
      if (outcome === "refused") return;
      if (outcome === "answered") answered++;
      else failures.push(outcome);
    }
  });
  await sleep(500);
  const { left, ms } = await server.call("close", 10_000);
  await Promise.all(clients);
  const note = `${answered} answered ${[...new Set(failures)].join(" ")}`.trim();
  stage.row({ what: "requests that failed", figure: failures.length + left, bound: 0, unit: "", note });
  stage.row({ what: "drained in", figure: ms, bound: 1_000, unit: "ms" });
}

/** autocannon ignores `Connection: close`, and sends its next request on a connection that is closing. */
async function cannonade(stage: OverloadStage, major: string): Promise<void> {
  const { server, port } = await serve(stage, major, { kind: "http", limits: { acceptsPerSecond: 10_000 } });
  const args = [autocannon(), "--json", "--connections", "50", "--duration", "3", `http://127.0.0.1:${port}/`];
  const cannon = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "ignore"] });
  stage.onClose(() => cannon.kill("SIGKILL"));
  let json = "";
  cannon.stdout.on("data", (chunk: Buffer) => {
    json += String(chunk);
  });
  const ended = once(cannon, "close");
  await sleep(1_500);
  const { left, ms } = await server.call("close", 10_000);
  await ended;
  const { non2xx, timeouts, "2xx": answered } = JSON.parse(json) as Record<"non2xx" | "timeouts" | "2xx", number>;
  const note = `${answered} answered`;
  stage.row({ what: "requests of autocannon that failed", figure: non2xx + timeouts + left, bound: 0, unit: "", note });
  stage.row({ what: "drained under autocannon in", figure: ms, bound: 1_000, unit: "ms" });
}

async function streams(stage: OverloadStage, major: string): Promise<void> {
  const { server, port } = await serve(stage, major, { kind: "http2", limits: {} });
  const sessions = Array.from({ length: 10 }, () => http2.connect(`http://127.0.0.1:${port}`));
  stage.onClose(() => sessions.forEach((session) => session.destroy()));
  let finished = 0;
  const all = sessions.flatMap((session) =>
    Array.from({ length: 10 }, async () => {
      const stream = session.request();
      stream.on("error", () => {});
      stream.on("end", () => finished++);
      stream.resume();
      await once(stream, "close");
    }),
  );
  while ((await server.call("stats")).requests.open < all.length) await sleep(5);
  const { left, ms } = await server.call("close", 10_000);
  await Promise.all(all);
  stage.row({ what: "HTTP/2 streams that did not finish", figure: all.length - finished + left, bound: 0, unit: "" });
  stage.row({ what: "drained with streams of 300 ms in", figure: ms, bound: 1_000, unit: "ms" });
}

async function webSocket(stage: OverloadStage, major: string): Promise<void> {
  const { server, port } = await serve(stage, major, { kind: "http", limits: {} });
  const socket = net.connect(port, "127.0.0.1");
  stage.onClose(() => socket.destroy());
  socket.write("GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
  await once(socket, "data");
  const closed = once(socket, "close");
  const { left, ms } = await server.call("close", 500);
  await closed;
  stage.row({ what: "an upgraded connection is cut off", figure: left, bound: 1, is: "at least", unit: "" });
  stage.row({ what: "after its deadline of 500 ms", figure: ms, bound: 1_000, unit: "ms" });
}

const HABITS: ReadonlyArray<(socket: net.Socket) => void> = [
  () => {},
  (socket) => socket.write("GET / HTTP/1.1\r\nHost"),
  (socket) => {
    const dripping = setInterval(() => socket.write("G"), 1_000);
    socket.once("close", () => clearInterval(dripping));
  },
  (socket) => socket.write(Buffer.alloc(512, 0xff)),
  (socket) => socket.write("GET / HTTP/1.1\r\nHost: test\r\n\r\n"),
];

async function hostile(stage: OverloadStage, major: string): Promise<void> {
  const { server, port } = await serve(stage, major, { kind: "http", limits: { connections: 100 } });
  let isOver = false;
  const sockets = new Set<net.Socket>();
  const come = (n: number): void => {
    if (isOver) return;
    const localAddress = `127.0.1.${1 + (n % HOSTILE_ADDRESSES)}`;
    const socket = net.connect({ port, host: "127.0.0.1", localAddress });
    socket.on("error", () => {});
    socket.resume();
    HABITS[n % HABITS.length]?.(socket);
    socket.once("close", () => setTimeout(() => come(n), COME_AGAIN_MS * (1 + Math.random())));
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  };
  stage.onClose(() => {
    isOver = true;
    for (const socket of sockets) socket.destroy();
  });
  const number = stage.scaled(HOSTILE, 300);
  for (let n = 0; n < number; n++) come(n);
  while (((await server.call("stats")).turnedAway["connections"] ?? 0) < number / 10) await sleep(50);
  const times: number[] = [];
  let tries = 0;
  for (let n = 0; n < 20; n++) {
    const agent = new http.Agent();
    const fromMs = performance.now();
    for (tries++; (await get(port, agent)) !== "answered"; tries++) await sleep(20);
    times.push(performance.now() - fromMs);
    agent.destroy();
  }
  const { turnedAway, connections } = await server.call("stats");
  const away = Object.values(turnedAway).reduce((sum, n) => sum + n, 0);
  const median = Math.round(quantile(times, 0.5) ?? Infinity);
  const note = `median ${median} ms, ${tries} tries for ${times.length}; ${connections.total} let in, ${away} turned away`;
  stage.row({
    what: "a healthy client is answered in",
    figure: quantile(times, 1) ?? Infinity,
    bound: 1_000,
    unit: "ms",
    note,
  });
}

export const HTTP_DRAIN: readonly OverloadScenario[] = NODES.flatMap((major) => [
  {
    name: `http drain on Node ${major}`,
    about: "200 clients that keep connections and pause 0 to 40 ms",
    run: (stage) => keptAlive(stage, major),
  },
  {
    name: `http cannon on Node ${major}`,
    about: "autocannon with 50 connections",
    run: (stage) => cannonade(stage, major),
  },
  { name: `http2 drain on Node ${major}`, about: "100 streams are under way", run: (stage) => streams(stage, major) },
  { name: `http upgraded on Node ${major}`, about: "an upgraded connection", run: (stage) => webSocket(stage, major) },
]);

export const HTTP_HOSTILE: readonly OverloadScenario[] = NODES.map((major) => ({
  name: `hostile http on Node ${major}`,
  about: "2,000 hostile connections where 100 may be",
  run: (stage) => hostile(stage, major),
}));
