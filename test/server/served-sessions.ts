/** Sessions without a supervisor: in memory under virtual time, or on sockets; and clients for those in memory. */
import net from "node:net";
import { onTestFinished } from "vitest";
import { durableLink } from "../../src/client/durable-link.ts";
import { DialGate } from "../../src/client/gate.ts";
import { resolveOpenOptions } from "../../src/client/options.ts";
import { newId } from "../../src/core/session/proof.ts";
import type { Link, OpenOptions, ServerSupervisorOptions } from "../../src/index.ts";
import { LinkMemory } from "../../src/io/budget.ts";
import { SystemClock } from "../../src/io/clock.ts";
import { StreamConnection } from "../../src/io/connection.ts";
import { SYSTEM_ENTROPY } from "../../src/io/entropy.ts";
import type { Clock, Connection } from "../../src/link/ports.ts";
import { resolveServerOptions } from "../../src/server/options.ts";
import { Sessions } from "../../src/server/sessions.ts";
import { Journal } from "../../src/telemetry/journal.ts";
import type { TelemetryRecord } from "../../src/telemetry/record.ts";
import { PairPath } from "../../src/testing/pair-path.ts";
import { seeded } from "../../src/testing/random.ts";
import { VirtualTime } from "../../src/testing/virtual-time.ts";

export type Handler = (link: Link) => void | Promise<void>;

/** `links` are those that the handler was called with, `ended` those that have ended. */
export interface ServedSessions {
  sessions: Sessions;
  links: Link[];
  ended: Link[];
  records: TelemetryRecord[];
}

function sessionsOn(clock: Clock, handler: Handler, options: Partial<ServerSupervisorOptions>): ServedSessions {
  const links: Link[] = [];
  const ended: Link[] = [];
  const records: TelemetryRecord[] = [];
  const journal = new Journal();
  journal.subscribe((record) => void records.push(record));
  const sessions = new Sessions(resolveServerOptions({ port: 1, ...options }), {
    clock,
    entropy: SYSTEM_ENTROPY,
    journal,
    onHandlerFailed: () => {},
    hearsHandlerErrors: () => false,
    onEnded: (link) => void ended.push(link),
    mayLinger: () => true,
  });
  sessions.handler = (link) => {
    links.push(link);
    return handler(link);
  };
  return { sessions, links, ended, records };
}

export type Server = ReturnType<typeof setUp>;

/** Clients that connect from now on have the address `client.address`. */
export function setUp(handler: Handler = () => {}, options: Partial<ServerSupervisorOptions> = {}) {
  const clock = new VirtualTime();
  const served = sessionsOn(clock, handler, options);
  const { sessions } = served;
  const client = { address: "192.0.2.1" };
  const path = new PairPath(clock, seeded(1), (connection: Connection) => {
    sessions.handshakes.accept(Object.assign(connection, { remoteAddress: client.address }));
  });
  onTestFinished(() => {
    sessions.stop();
    clock.stop();
  });
  return { clock, path, client, ...served };
}

/** On loopback, to the end of the test. */
export async function setUpOnSockets(
  handler: Handler = () => {},
  options: Partial<ServerSupervisorOptions> = {},
): Promise<ServedSessions & { port: number }> {
  const served = sessionsOn(new SystemClock(), handler, options);
  const { sessions } = served;
  const sockets = new Set<net.Socket>();
  const listener = net.createServer((socket) => {
    sockets.add(socket);
    sessions.accept(new StreamConnection(socket, true));
  });
  onTestFinished(() => {
    sessions.stop();
    listener.close();
    for (const socket of sockets) socket.destroy();
  });
  await new Promise<void>((resolve) => {
    listener.listen(0, "127.0.0.1", resolve);
  });
  return { port: (listener.address() as net.AddressInfo).port, ...served };
}

/** Sheds all links; answers whether each was. */
export function shedAll(sessions: Sessions, retryAfterMs: number, reason = "memory"): boolean[] {
  return [...sessions.owners()].map((served) => sessions.shed(served, retryAfterMs, reason));
}

/** A client's link. It dials in the next turn. */
export function dial({ clock, path }: Server, options: OpenOptions = {}): Link {
  let ids = 0;
  const owner = durableLink(resolveOpenOptions({ port: 1, ...options }), {
    clock,
    entropy: SYSTEM_ENTROPY,
    gate: new DialGate(clock, 64, 200),
    dial: (_, { signal }) => path.dial(signal),
    nextId: () => ++ids,
    memory: new LinkMemory(1_048_576),
    instance: newId(SYSTEM_ENTROPY),
    journal: new Journal(),
    onLeft: () => {},
    onLost: () => {},
    onCloseCalled: () => {},
    onBack: () => {},
    onEnded: () => {},
    onGone: () => {},
  });
  owner.dialer.start(owner.engine);
  return owner.link;
}

export async function connect(server: Server, options?: OpenOptions): Promise<Link> {
  const link = dial(server, options);
  const connected = link.connected();
  await server.clock.advance(0);
  await connected;
  return link;
}
