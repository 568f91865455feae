/** A server of resplice clients without its listener, and such clients, in memory and under virtual time. */
import { onTestFinished } from "vitest";
import { DialGate } from "../../src/client/gate.ts";
import { durableLink } from "../../src/client/durable-link.ts";
import { resolveOpenOptions } from "../../src/client/options.ts";
import { newId, newKeys } from "../../src/core/session/proof.ts";
import { encodeHello } from "../../src/core/wire/frames.ts";
import type { Link, OpenOptions, ServerSupervisorOptions } from "../../src/index.ts";
import { LinkMemory } from "../../src/io/budget.ts";
import { SYSTEM_ENTROPY } from "../../src/io/entropy.ts";
import type { Connection, ConnectionHandler } from "../../src/link/ports.ts";
import { resolveServerOptions } from "../../src/server/options.ts";
import { Sessions } from "../../src/server/sessions.ts";
import { Journal } from "../../src/telemetry/journal.ts";
import type { TelemetryRecord } from "../../src/telemetry/record.ts";
import { PairPath } from "../../src/testing/pair-path.ts";
import { seeded } from "../../src/testing/random.ts";
import { VirtualTime } from "../../src/testing/virtual-time.ts";
import { confirmOf, openingOf } from "./raw-session.ts";

export type Handler = (link: Link) => void | Promise<void>;

/**
 * `links` are those that the handler was called with, `ended` those that have ended. Clients that connect from now on
 * have the address `client.address`.
 */
export function setUp(handler: Handler = () => {}, options: Partial<ServerSupervisorOptions> = {}) {
  const clock = new VirtualTime();
  const random = seeded(1);
  const links: Link[] = [];
  const ended: Link[] = [];
  const records: TelemetryRecord[] = [];
  const client = { address: "192.0.2.1" };
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
  const path = new PairPath(clock, random, (connection: Connection) => {
    sessions.handshakes.accept(Object.assign(connection, { remoteAddress: client.address }));
  });
  onTestFinished(() => {
    sessions.stop();
    clock.stop();
  });
  return { clock, path, sessions, links, ended, records, client };
}

export type Server = ReturnType<typeof setUp>;

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

/** A connection whose client is the test: it keeps what the server writes. */
class ByHand implements Connection {
  handler: ConnectionHandler = { onData: () => {}, onDrain: () => {}, onClosed: () => {} };
  readonly remoteAddress: string;
  readonly roomBytes = 65_536;
  readonly pendingBytes = 0;
  readonly written: Buffer[] = [];

  constructor(remoteAddress: string) {
    this.remoteAddress = remoteAddress;
  }

  write(buffers: readonly Buffer[]): void {
    this.written.push(...buffers);
  }

  end(): void {}

  pause(): void {}

  resume(): void {}

  destroy(): void {}
}

/** Opens a session, as far as its WELCOME. The returned function makes the CONFIRM. */
export async function unconfirmed({
  sessions,
  clock,
  client,
}: Server): Promise<{ connection: ByHand; confirm: () => Buffer }> {
  const connection = new ByHand(client.address);
  const keys = newKeys(SYSTEM_ENTROPY);
  sessions.handshakes.accept(connection);
  connection.handler.onData(encodeHello("hello", openingOf(keys, "")));
  await clock.advance(0);
  return { connection, confirm: () => confirmOf(keys, Buffer.concat(connection.written)) };
}
