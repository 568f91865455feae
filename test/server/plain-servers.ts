/** Servers of clients that are not resplice, and such clients. */
import net from "node:net";
import {
  lines,
  plain,
  type PlainLink,
  type PlainOptions,
  type PlainServerOptions,
  ServerSupervisor,
} from "../../src/index.ts";
import { onTestFinished } from "vitest";
import { SYSTEM_ENTROPY } from "../../src/io/entropy.ts";
import type { Connection, ConnectionHandler } from "../../src/link/ports.ts";
import { resolvePlainServerOptions } from "../../src/server/plain-options.ts";
import { PlainSessions } from "../../src/server/plain-sessions.ts";
import type { ServedHost } from "../../src/server/served-links.ts";
import { Journal } from "../../src/telemetry/journal.ts";
import { VirtualTime } from "../../src/testing/virtual-time.ts";
import { LineSocket } from "../client/plain-server.ts";
import { type Arrivals, listenInTest } from "../support.ts";

export type PlainServed = {
  supervisor: ServerSupervisor<ReturnType<typeof plain>>;
  port: number;
  /** Links in the order in which they were let in. */
  links: Arrivals<PlainLink>;
};

export type PlainServerTerms = Omit<Partial<PlainServerOptions>, "protocol"> & { plain?: Partial<PlainOptions> };

/** A server of lines, whose links wait in `links`, or are served by `handler`. */
export async function servePlain(
  { plain: protocol, ...options }: PlainServerTerms = {},
  handler?: (link: PlainLink) => void | Promise<void>,
): Promise<PlainServed> {
  const where = options.path === undefined ? { port: 0, host: "127.0.0.1" } : {};
  const supervisor = new ServerSupervisor({ ...where, ...options, protocol: plain({ framing: lines(), ...protocol }) });
  return { supervisor, ...(await listenInTest<PlainLink>(supervisor, handler)) };
}

/** Answers each line with the same line. */
export async function echoLines(link: PlainLink): Promise<void> {
  for await (const message of link) await link.send(message);
}

/** A client that speaks lines. `ended` resolves when the server has ended its direction. */
export function lineClient(
  port: number,
  options: Partial<net.TcpNetConnectOpts> = {},
): LineSocket & { ended: Promise<void> } {
  const socket = net.connect({ port, host: "127.0.0.1", ...options });
  onTestFinished(() => void socket.destroy());
  const ended = new Promise<void>((resolve) => {
    socket.on("end", () => resolve());
  });
  return Object.assign(new LineSocket(socket), { ended });
}

/** A host for the links of a server, to which nobody listens. */
export function servedHost(clock: VirtualTime, mayLinger: () => boolean): ServedHost {
  return {
    clock,
    entropy: SYSTEM_ENTROPY,
    journal: new Journal(),
    onHandlerFailed: () => {},
    hearsHandlerErrors: () => false,
    onEnded: () => {},
    mayLinger,
  };
}

/** The sessions of such a server, without a listener and under virtual time. */
export function plainSessions({ plain: protocol, ...options }: PlainServerTerms = {}, mayLinger = true) {
  const clock = new VirtualTime();
  const resolved = resolvePlainServerOptions({ ...options, protocol: plain({ framing: lines(), ...protocol }) });
  const sessions = new PlainSessions(
    resolved,
    servedHost(clock, () => mayLinger),
  );
  onTestFinished(() => {
    sessions.stop();
    clock.stop();
  });
  return { clock, sessions };
}

/** A connection of a client, whose part the test plays. */
export class HandConnection implements Connection {
  handler: ConnectionHandler = { onData: () => undefined, onDrain: () => {}, onClosed: () => {} };
  readonly remoteAddress = "192.0.2.1";
  roomBytes = 65_536;
  readonly pendingBytes = 0;
  written = "";
  closed: "in order" | "at once" | undefined;

  write(buffers: readonly Buffer[]): boolean {
    this.written += Buffer.concat(buffers).toString();
    return false;
  }

  pause(): void {}
  resume(): void {}

  end(last: readonly Buffer[]): void {
    if (this.closed !== undefined) return;
    this.write(last);
    this.closed = "in order";
  }

  destroy(): void {
    this.closed = "at once";
  }
}
