/** A tunnel on loopback: a target, its far end, a path that can be broken, the near end. Closed when the test is over. */
import { once } from "node:events";
import net from "node:net";
import { expect, onTestFinished } from "vitest";
import { AllowList } from "../../src/tunnel/allow.ts";
import { FarEnd, type FarEndOptions } from "../../src/tunnel/far.ts";
import type { Level } from "../../src/tunnel/log.ts";
import { NearEnd, type NearEndOptions } from "../../src/tunnel/near.ts";
import type { FaultRelay } from "../../src/testing/index.ts";
import { eventually, relayTo } from "../support.ts";

export interface TunnelLine {
  readonly at: "near" | "far";
  readonly level: Level;
  readonly event: string;
  readonly text: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface TunnelStage {
  readonly near: NearEnd;
  readonly far: FarEnd;
  readonly relay: FaultRelay;
  /** Where the near end listens. */
  readonly port: number;
  /** HOST:PORT of the target. */
  readonly target: string;
  /** What both ends have logged. */
  readonly lines: TunnelLine[];
  /** Connects to the near end. */
  connect(): Promise<net.Socket>;
  /** Another near end at the same far end. */
  another(options?: Partial<NearEndOptions>): Promise<AnotherNear>;
}

export interface AnotherNear {
  readonly near: NearEnd;
  /** Of the first forward. */
  readonly port: number;
  readonly ports: readonly number[];
}

export interface StageOptions {
  readonly far?: Partial<FarEndOptions>;
  readonly near?: Partial<NearEndOptions>;
}

const NOW = AbortSignal.abort();

/** `target`: serves a connection at the target. */
export async function tunnel(
  target: (socket: net.Socket) => void,
  { far: farOptions, near: nearOptions }: StageOptions = {},
): Promise<TunnelStage> {
  const targetText = `127.0.0.1:${await listening(target)}`;
  const lines: TunnelLine[] = [];
  const logAt =
    (at: TunnelLine["at"]) =>
    (level: Level, event: string, text: string, fields = {}): void =>
      void lines.push({ at, level, event, text, fields });
  const far = new FarEnd({
    listen: { port: 0, host: "127.0.0.1" },
    tls: false,
    proofs: undefined,
    allow: new AllowList(["127.0.0.1:1-65535"]),
    proxy: undefined,
    surviveMs: 60_000,
    maxConnections: undefined,
    maxConnectionsEach: undefined,
    log: logAt("far"),
    logger: undefined,
    ...farOptions,
  });
  const { port: farPort } = await far.listen();
  onTestFinished(async () => void (await far.close(0, NOW)));
  const relay = await relayTo(farPort);
  const another = async (options: Partial<NearEndOptions> = {}): Promise<AnotherNear> => {
    const near = new NearEnd({
      far: { port: relay.port },
      connect: {},
      forwards: [{ listen: { port: 0, host: "127.0.0.1" }, to: targetText }],
      name: undefined,
      surviveMs: 60_000,
      maxConnections: undefined,
      balancers: undefined,
      log: logAt("near"),
      logger: undefined,
      ...nearOptions,
      ...options,
    });
    onTestFinished(async () => void (await near.close(0, NOW)));
    const ports = ((await near.listen()) as net.AddressInfo[]).map(({ port }) => port);
    return { near, port: ports[0] as number, ports };
  };
  const { near, port } = await another();
  const connect = async (): Promise<net.Socket> => {
    const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    socket.on("error", () => {});
    onTestFinished(() => void socket.destroy());
    await once(socket, "connect");
    return socket;
  };
  return { near, far, relay, port, target: targetText, lines, connect, another };
}

/** Each direction of its connections ends apart. */
async function listening(target: (socket: net.Socket) => void): Promise<number> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket.on("error", () => {}).once("close", () => void sockets.delete(socket)));
    target(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return (server.address() as net.AddressInfo).port;
}

/** How a connection ended for its reader: all its bytes and an end in order, or the code of its error. */
export async function readAll(socket: net.Socket): Promise<{ bytes: Buffer; end: string }> {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => void chunks.push(chunk));
  const end = await new Promise<string>((resolve) => {
    socket.once("end", () => resolve("end"));
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? "error"));
    socket.once("close", () => resolve("closed"));
  });
  return { bytes: Buffer.concat(chunks), end };
}

/** The count when it grows no more. */
export async function whenItStands(count: () => number): Promise<number> {
  let before = -1;
  let looks = 0;
  await eventually(() => {
    const now = count();
    looks = now === before && now > 100_000 ? looks + 1 : 0;
    before = now;
    expect(looks).toBeGreaterThan(10);
  }, 20_000);
  return before;
}
