/** Servers as an application has them, supervised; and clients of theirs. Closed when the test is over. */
import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import net from "node:net";
import tls from "node:tls";
import { onTestFinished } from "vitest";
import { supervise, type SuperviseOptions, type SupervisedServer } from "../../src/index.ts";
import { Connections, type ConnectionsOptions } from "../../src/supervise/connections.ts";
import { ConnectionsRelief } from "../../src/supervise/connections-relief.ts";
import { isClearHttp1, isHttp } from "../../src/supervise/kind.ts";
import { tap } from "../../src/supervise/tap.ts";
import { Refusals } from "../../src/server/refusals.ts";
import { Journal } from "../../src/telemetry/journal.ts";
import { NONE_OF_PROCESS } from "../server/overload/support.ts";
import { Arrivals, certificate, ManualClock } from "../support.ts";

export const KINDS = ["net", "tls", "http", "https", "http2", "http2 with TLS"] as const;
export type Kind = (typeof KINDS)[number];

/** Answers each request, or each chunk, with "hello". */
export async function greeter(kind: Kind): Promise<net.Server> {
  const greet = (socket: net.Socket): void => {
    socket.on("error", () => {});
    socket.on("data", () => socket.write("hello"));
  };
  const answer: http.RequestListener = (_, response) => void response.end("hello");
  switch (kind) {
    case "net":
      return net.createServer(greet);
    case "tls":
      return tls.createServer(await certificate(), greet);
    case "http":
      return http.createServer(answer);
    case "https":
      return https.createServer(await certificate(), answer);
    case "http2":
      return http2.createServer((_, response) => void response.end("hello"));
    case "http2 with TLS":
      return http2.createSecureServer(await certificate(), (_, response) => void response.end("hello"));
  }
}

/** Answers the port, if it does not listen on a path. */
export async function listening(server: net.Server, path?: string): Promise<number> {
  onTestFinished(() => {
    server.close();
    (server as Partial<http.Server>).closeAllConnections?.();
  });
  if (path === undefined) server.listen(0, "127.0.0.1");
  else server.listen(path);
  await once(server, "listening");
  return (server.address() as net.AddressInfo).port;
}

/** Without `resources` none is watched: a machine that is busy with other tests is no overload. */
export async function supervisedServer(
  server: net.Server,
  options: SuperviseOptions = {},
): Promise<{ supervised: SupervisedServer; port: number }> {
  const supervised = supervise(server, { resources: NONE_OF_PROCESS, ...options });
  onTestFinished(async () => void (await supervised.close({ deadlineMs: 0 })));
  return { supervised, port: await listening(server) };
}

/** The same without telemetry, and with time that passes when it is told to. */
export async function watchedServer(
  server: net.Server,
  options: Partial<ConnectionsOptions> = {},
  path?: string,
): Promise<{
  connections: Connections;
  relief: ConnectionsRelief;
  clock: ManualClock;
  refusals: Refusals;
  port: number;
}> {
  const clock = new ManualClock(1_000_000);
  const refusals = new Refusals(new Journal());
  const connections = new Connections({
    limits: { connections: 100, connectionsPerAddress: Infinity, handshakes: 50, acceptsPerSecond: 1_000 },
    timeouts: { handshakeMs: 60_000, writeStallMs: 15_000 },
    isTls: false,
    isHttp: isHttp(server),
    isClearHttp1: isClearHttp1(server),
    clock,
    random: () => 0,
    refusals,
    onDrain: () => {},
    ...options,
  });
  const relief = new ConnectionsRelief(connections, { refusals, writeStallMs: 15_000, now: () => clock.now() });
  tap(server, (name, first, second) => connections.hears(name, first, second));
  const port = await listening(server, path);
  onTestFinished(() => void connections.cutOff());
  return { connections, relief, clock, refusals, port };
}

/** An HTTP client on a bare socket, and everything that it is told. */
export interface HttpClient {
  socket: net.Socket;
  readonly text: string;
  /** Resolves when the text matches. */
  until(pattern: RegExp): Promise<void>;
  closed: Promise<void>;
}

export async function httpClient(
  port: number,
  connectOptions: Partial<net.TcpNetConnectOpts> = {},
): Promise<HttpClient> {
  const socket = net.connect({ port, host: "127.0.0.1", ...connectOptions });
  onTestFinished(() => void socket.destroy());
  let text = "";
  const heard = new Set<() => void>();
  socket.on("error", () => {});
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  socket.on("data", (chunk: Buffer) => {
    text += String(chunk);
    for (const hear of heard) hear();
  });
  await once(socket, "connect");
  return {
    socket,
    closed,
    get text() {
      return text;
    },
    until: (pattern) =>
      new Promise((resolve) => {
        const hear = (): void => {
          if (pattern.test(text)) resolve();
        };
        heard.add(hear);
        hear();
      }),
  };
}

export const GET = "GET / HTTP/1.1\r\nHost: test\r\n\r\n";

/** Answers "hello" to each request but "/later", of which the test has the response. */
export function choosing(): { server: http.Server; later: Arrivals<http.ServerResponse> } {
  const later = new Arrivals<http.ServerResponse>();
  const server = http.createServer(({ url }, response) => {
    if (url === "/later") later.put(response);
    else response.end("hello");
  });
  return { server, later };
}

/** One that has had an answer, and keeps its connection. */
export async function idleClient(port: number, localAddress = "127.0.0.1"): Promise<HttpClient> {
  const client = await httpClient(port, { localAddress });
  client.socket.write(GET);
  await client.until(/hello/u);
  return client;
}

/** Speaks to a greeter as its kind wants, and answers how often it was greeted. */
export async function greeted(kind: Kind, port: number, client: { close?: () => void } = {}): Promise<string> {
  const security = { rejectUnauthorized: false };
  if (kind === "http" || kind === "https") {
    const secure = kind === "https";
    const agent = secure ? new https.Agent({ keepAlive: true, ...security }) : new http.Agent({ keepAlive: true });
    client.close = () => agent.destroy();
    const request = (secure ? https : http).get({ port, host: "127.0.0.1", agent });
    const [response] = (await once(request, "response")) as [http.IncomingMessage];
    return textOf(response);
  }
  if (kind === "net" || kind === "tls") {
    const at = { port, host: "127.0.0.1" };
    const socket = kind === "net" ? net.connect(at) : tls.connect({ ...at, ...security });
    socket.on("error", () => {});
    client.close = () => void socket.destroy();
    socket.write("hi");
    const [chunk] = (await once(socket, "data")) as [Buffer];
    return String(chunk);
  }
  const session = http2.connect(`${kind === "http2" ? "http" : "https"}://127.0.0.1:${port}`, security);
  client.close = () => session.destroy();
  return textOf(session.request());
}

export async function textOf(stream: NodeJS.ReadableStream): Promise<string> {
  let text = "";
  for await (const chunk of stream) text += String(chunk);
  return text;
}
