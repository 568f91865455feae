/** What the tests of the shell share: links over real sockets on loopback, closed when the test is over. */
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished } from "vitest";
import {
  ConnectionManager,
  type ConnectionManagerOptions,
  type Link,
  type LinkEvents,
  type Logger,
  type OpenOptions,
  RespliceError,
  ServerSupervisor,
  type ServerSupervisorOptions,
} from "../src/index.ts";
import type { Clock, Timer } from "../src/link/ports.ts";
import { faultRelay, type FaultRelay } from "../src/testing/index.ts";
import { claimPort, PortClaim } from "../src/testing/port-claim.ts";

/** Fast enough for a test, and still jittered. */
export const QUICK = { minDelayMs: 5, maxDelayMs: 20 };
/** Notices a black hole within a third of a second. */
export const WATCHFUL = { pingAfterMs: 100, suspectAfterMs: 200 };

/** Things that arrive one after the other, for whoever waits for the next. */
export class Arrivals<T> {
  readonly #here: T[] = [];
  readonly #waiting: Array<(value: T) => void> = [];

  put(value: T): void {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#here.push(value);
    else waiting(value);
  }

  next(): Promise<T> {
    const value = this.#here.shift();
    if (value !== undefined) return Promise.resolve(value);
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  get size(): number {
    return this.#here.length;
  }
}

export interface Served {
  supervisor: ServerSupervisor;
  port: number;
  /** Links in the order in which they were opened. */
  links: Arrivals<Link>;
}

/** A server whose links wait in `links`, or are served by `handler`; of this tree, or of another version. */
export async function serve(
  options: Partial<ServerSupervisorOptions> = {},
  handler?: (link: Link) => void | Promise<void>,
  Supervisor: typeof ServerSupervisor = ServerSupervisor,
): Promise<Served> {
  const where = options.path === undefined ? { port: 0, host: "127.0.0.1" } : {};
  const supervisor = new Supervisor({ ...where, ...options });
  return { supervisor, ...(await listenInTest<Link>(supervisor, handler)) };
}

/** The part of a supervisor that serves links of this type. */
interface Serving<L> {
  serve(handler: (link: L) => void | Promise<void>): void;
  listen(): Promise<{ port: number }>;
  close(options: { deadlineMs: number }): Promise<unknown>;
}

/** Listens to the end of the test. The links wait in `links`, and are served by `handler`. */
export async function listenInTest<L>(
  supervisor: Serving<L>,
  handler?: (link: L) => void | Promise<void>,
): Promise<{ port: number; links: Arrivals<L> }> {
  const links = new Arrivals<L>();
  supervisor.serve((link) => {
    links.put(link);
    return handler?.(link);
  });
  const { port } = await supervisor.listen();
  // Not awaited: it waits a second for a client that has just gone without a word.
  onTestFinished(() => void supervisor.close({ deadlineMs: 0 }).then(() => keepFromOthers(port)));
  return { port, links };
}

export function manage(
  options: ConnectionManagerOptions = {},
  Manager: typeof ConnectionManager = ConnectionManager,
): ConnectionManager {
  const manager = new Manager(options);
  onTestFinished(() => void manager.close({ deadlineMs: 0 }));
  return manager;
}

/** A client link to `port` on loopback. */
export function openTo(port: number, options: OpenOptions = {}): Link {
  return manage().open({ port, host: "127.0.0.1", reconnect: QUICK, ...options });
}

export async function relayTo(port: number): Promise<FaultRelay> {
  const relay = await faultRelay({ port });
  onTestFinished(() => relay.close().then(() => keepFromOthers(relay.port)));
  return relay;
}

export interface Pair extends Served {
  client: Link;
  server: Link;
  relay: FaultRelay;
  manager: ConnectionManager;
}

/** A link with both its ends, through a relay that can do harm. */
export async function pair(
  clientOptions: OpenOptions = {},
  serverOptions: Partial<ServerSupervisorOptions> = {},
): Promise<Pair> {
  const served = await serve(serverOptions);
  const relay = await relayTo(served.port);
  const manager = manage();
  const client = manager.open({ port: relay.port, host: "127.0.0.1", reconnect: QUICK, ...clientOptions });
  await client.connected();
  return { ...served, relay, manager, client, server: await served.links.next() };
}

/** Both ends have heard of each other: until then a client that suspects its connection drops it, and resumes. */
export async function acquaint({ client, server }: Pair): Promise<void> {
  const accepted = client.send("hello", { until: "accepted" });
  await server.receive();
  await accepted;
}

/** An echo server's handler. */
export async function echo(link: Link): Promise<void> {
  for await (const message of link) await link.send(message);
}

/** The next event of this name. */
export function heard<E extends keyof LinkEvents>(link: Link, name: E): Promise<LinkEvents[E][0]> {
  return new Promise((resolve) => {
    link.once(name, (...args) => resolve(args[0]));
  });
}

export async function receiveText(link: Link): Promise<string | null> {
  const message = await link.receive();
  return message === null ? null : String(message);
}

/** Everything that a link receives, as text, until its peer ends. */
export async function receiveAll(link: Link): Promise<string[]> {
  const texts: string[] = [];
  for await (const message of link) texts.push(String(message));
  return texts;
}

/** The RespliceError that `act` throws or rejects with. */
export async function failure(act: (() => unknown) | Promise<unknown>): Promise<RespliceError> {
  try {
    await (typeof act === "function" ? act() : act);
  } catch (error) {
    expect(error).toBeInstanceOf(RespliceError);
    return error as RespliceError;
  }
  throw new Error("nothing was thrown");
}

/** The RespliceError that `act` throws at once. */
export function refusal(act: () => unknown): RespliceError {
  try {
    act();
  } catch (error) {
    expect(error).toBeInstanceOf(RespliceError);
    return error as RespliceError;
  }
  throw new Error("nothing was thrown");
}

/** What did not settle within a turn of the event loop, or a few. */
export async function isPending(promise: Promise<unknown>, turns = 5): Promise<boolean> {
  let pending = true;
  const settle = (): void => {
    pending = false;
  };
  promise.then(settle, settle);
  for (let turn = 0; turn < turns && pending; turn++) await new Promise((resolve) => setImmediate(resolve));
  return pending;
}

export interface LogLine {
  level: keyof Logger;
  message: string;
  event?: string;
  reason?: string;
  [field: string]: unknown;
}

/** A logger that keeps its lines. */
export function logKeeper(): { logger: Logger; lines: LogLine[] } {
  const lines: LogLine[] = [];
  const at =
    (level: keyof Logger) =>
    (fields: object, message: string): void => {
      lines.push({ ...fields, level, message });
    };
  return { lines, logger: { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") } };
}

/** Waits until `check` stops throwing. For what has no event. */
export async function eventually(check: () => void | Promise<void>, withinMs = 5_000): Promise<void> {
  const untilMs = performance.now() + withinMs;
  for (;;) {
    try {
      await check();
      return;
    } catch (error) {
      if (performance.now() > untilMs) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A port on 127.0.0.1 that nobody listens on, and that no other test is given while this process lives. */
export async function unusedPort(): Promise<number> {
  return (await claimPort()).port;
}

/**
 * Clients may dial for a while after their test is over. No other test file's server gets the port that they dial, as long
 * as this process lives.
 */
function keepFromOthers(port: number): void {
  if (port > 0) void new PortClaim(port);
}

/** A raw client's connection, and everything that it is told. */
export interface RawClient {
  socket: net.Socket;
  readonly bytes: Buffer;
  /** Resolves when the connection is closed. */
  closed: Promise<void>;
}

export async function rawClient(port: number): Promise<RawClient> {
  const socket = net.connect(port, "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  socket.on("error", () => {});
  const closed = new Promise<void>((resolve) => {
    socket.on("close", () => resolve());
  });
  await once(socket, "connect");
  return {
    socket,
    closed,
    get bytes() {
      return Buffer.concat(chunks);
    },
  };
}

/** A raw server; `onConnection` gets each socket, errors are nobody's. */
export async function rawServer(onConnection: (socket: net.Socket) => void): Promise<number> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    onConnection(socket);
  });
  onTestFinished(() => {
    server.close(() => keepFromOthers(port));
    for (const socket of sockets) socket.destroy();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  return port;
}

/** A proxy that keeps what passes. */
export async function tapTo(
  port: number,
): Promise<{ port: number; connections: Array<{ toServer: Buffer[]; toClient: Buffer[]; client: net.Socket }> }> {
  const connections: Array<{ toServer: Buffer[]; toClient: Buffer[]; client: net.Socket }> = [];
  const listening = await rawServer((client) => {
    const server = net.connect(port, "127.0.0.1");
    const kept = { toServer: [] as Buffer[], toClient: [] as Buffer[], client };
    connections.push(kept);
    client.on("data", (chunk: Buffer) => {
      kept.toServer.push(chunk);
      server.write(chunk);
    });
    server.on("data", (chunk: Buffer) => {
      kept.toClient.push(chunk);
      client.write(chunk);
    });
    server.on("error", () => {});
    client.on("close", () => server.destroy());
    server.on("close", () => client.destroy());
  });
  return { port: listening, connections };
}

const INDEX_URL: string = new URL("../src/index.ts", import.meta.url).href;

/**
 * Runs a module in a process of its own, which has to exit by itself. Answers what it printed. It is given more time
 * than the slowest of them needs on a busy machine, and less than a test has.
 */
export async function runToExit(code: string, withinMs = 25_000): Promise<string> {
  const program = `import * as resplice from ${JSON.stringify(INDEX_URL)};\n${code}`;
  const args = ["--no-warnings", "--input-type=module", "--eval", program];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: withinMs });
  return stdout.trim();
}

export { certificate } from "./certificate.ts";
export { turned } from "./turned.ts";

/** A path for a Unix socket. */
export async function socketPath(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "resplice-"));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return join(directory, "link.sock");
}

/** Time that passes when it is told to. */
export class ManualClock implements Clock {
  #nowMs: number;
  readonly #timers = new Set<{ dueMs: number; run: () => void }>();

  constructor(nowMs: number) {
    this.#nowMs = nowMs;
  }

  now(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return this.#nowMs;
  }

  defer<T>(run: (of: T) => void, of: T): void {
    process.nextTick(run, of);
  }

  afterPoll<T>(run: (of: T) => void, of: T): void {
    setImmediate(() => run(of));
  }

  spread<T>(run: (of: T) => void, of: T): void {
    setImmediate(() => run(of));
  }

  timer<T>(run: (of: T) => void, of?: T): Timer {
    const timer = { dueMs: Infinity, run: () => run(of as T) };
    this.#timers.add(timer);
    return {
      set: (dueMs) => {
        timer.dueMs = dueMs;
      },
      clear: () => {
        timer.dueMs = Infinity;
      },
      holdProcess: () => {},
    };
  }

  /** Whether a timer is set: one of the machine's clock would keep the process alive. */
  get isAwaited(): boolean {
    return [...this.#timers].some(({ dueMs }) => dueMs < Infinity);
  }

  /** Runs what is due on the way, earliest first. */
  pass(ms: number): void {
    const untilMs = this.#nowMs + ms;
    for (;;) {
      const [first] = [...this.#timers].toSorted((a, b) => a.dueMs - b.dueMs);
      if (first === undefined || first.dueMs > untilMs) break;
      this.#nowMs = Math.max(this.#nowMs, first.dueMs);
      first.dueMs = Infinity;
      first.run();
    }
    this.#nowMs = untilMs;
  }
}

/** Collects what would have ended the process while `act` runs. */
export async function withUncaught(act: () => Promise<void>): Promise<unknown[]> {
  const uncaught: unknown[] = [];
  const others = process.listeners("uncaughtException");
  const keep = (error: unknown): void => void uncaught.push(error);
  process.removeAllListeners("uncaughtException");
  process.on("uncaughtException", keep);
  try {
    await act();
    await new Promise((resolve) => setImmediate(resolve));
  } finally {
    process.off("uncaughtException", keep);
    for (const other of others) process.on("uncaughtException", other);
  }
  return uncaught;
}
