/**
 * Real cores connected by hand: what an end writes stands on the line until a scenario moves it, takes it off to deliver
 * it late, or cuts. Time passes only in `pass()`.
 */
import { BlockPool } from "../../src/core/log/blocks.ts";
import { ClientLinkCore, type ClientLinkCoreOptions, type DialRole } from "../../src/core/client/link-core.ts";
import type { Frame } from "../../src/core/wire/frames.ts";
import type { LinkCore } from "../../src/core/session/link-core.ts";
import type { LinkCoreEvent, LinkCoreOptions } from "../../src/core/session/link-events.ts";
import {
  type StoreAnswer,
  ServerCore,
  type ServerCoreEvent,
  type ServerCoreOptions,
} from "../../src/core/server/server.ts";
import type { ServerLinkCore } from "../../src/core/server/link-core.ts";
import { CountingBudget, type Data, decoded } from "../core/support.ts";
import { seeded, seededEntropy } from "../../src/testing/random.ts";

const LINK_OPTIONS: LinkCoreOptions = {
  mode: "messages",
  maxMessageBytes: 1_000,
  maxBatchBytes: 0,
  window: { minBytes: 4_096, maxBytes: 65_536 },
  windowBudget: new CountingBudget(),
  logBudget: new CountingBudget(),
  blocks: new BlockPool(),
  queue: { maxMessages: 1_000, maxBytes: 1_000_000 },
  ackDelayMs: 25,
  keepalive: { pingAfterMs: 15_000, suspectAfterMs: 5_000, stalledAfterMs: [2_000, 4_000], pingAfterSpeechMs: [] },
};

/** Everyone is let in at once. */
export const WELCOMING: ServerCoreOptions["admission"] = { accept: () => true, open: () => 0, comeBack: () => 0 };

type Moved = Frame | Data;

export class ByHand {
  nowMs = 0;
  readonly random: () => number = seeded(7);
  readonly clients: HandClient[] = [];
  readonly servers: HandServer[] = [];
  #ids = 0;

  client(options: Partial<ClientLinkCoreOptions> = {}): HandClient {
    const client = new HandClient(this, options);
    this.clients.push(client);
    return client;
  }

  server(options: Partial<ServerCoreOptions> = {}): HandServer {
    const server = new HandServer(this, options);
    this.servers.push(server);
    return server;
  }

  newId(): number {
    return ++this.#ids;
  }

  /** Each timer runs when it is due; nothing moves on the lines. */
  pass(ms: number): void {
    const untilMs = this.nowMs + ms;
    const cores = (): Array<LinkCore | ServerCore> => [
      ...this.clients.map(({ core }) => core),
      ...this.servers.flatMap(({ core }) => [core, ...core.links()]),
    ];
    for (;;) {
      const dueMs = Math.min(...cores().map(({ nextTimeoutMs }) => nextTimeoutMs));
      if (dueMs > untilMs) break;
      this.nowMs = Math.max(this.nowMs, dueMs);
      for (const core of cores()) core.tick(this.nowMs);
      this.drain();
    }
    this.nowMs = untilMs;
  }

  drain(): void {
    for (const client of this.clients) client.drain();
    for (const server of this.servers) server.drain();
  }
}

export class HandClient {
  readonly world: ByHand;
  readonly core: ClientLinkCore;
  readonly events: LinkCoreEvent[] = [];
  readonly lines = new Map<number, Line>();

  constructor(world: ByHand, options: Partial<ClientLinkCoreOptions>) {
    this.world = world;
    this.core = new ClientLinkCore(
      {
        ...LINK_OPTIONS,
        keepalive: { ...LINK_OPTIONS.keepalive, pingAfterSpeechMs: [1_000, 2_000, 4_000, 8_000] },
        instance: "aa".repeat(16),
        epoch: 1,
        openPayload: Buffer.from("hello"),
        whenSessionLost: "report",
        ...options,
      },
      seededEntropy(world.random),
    );
  }

  /** A connection is there, and the client has written what it says first. */
  dial(server: HandServer, role: DialRole = "primary"): Line {
    const line = new Line(this.world, server, this.core);
    this.lines.set(line.id, line);
    this.core.connectionOpened(line.id, role, Buffer.from("alice"), this.world.nowMs);
    this.drain();
    return line;
  }

  /** Opens or resumes, and both ends know it. */
  connect(server: HandServer): Line {
    const line = this.dial(server);
    line.settle();
    return line;
  }

  get connections(): string[] {
    return this.events.flatMap((event) => (event.type === "connected" ? [`${event.session}: ${event.reason}`] : []));
  }

  drain(): void {
    for (const event of this.core.events.splice(0)) {
      this.events.push(event);
      if (event.type === "close-connection") this.lines.get(event.channel)?.closedBy("client", event.last);
    }
  }
}

export class HandServer {
  readonly world: ByHand;
  readonly core: ServerCore;
  readonly events: ServerCoreEvent[] = [];
  readonly links: ServerLinkCore[] = [];
  readonly linkEvents: LinkCoreEvent[] = [];
  readonly lines = new Map<number, Line>();
  /** "by hand": verdicts wait for `verdict()` and `refuse()`. */
  authentication: "at once" | "by hand" = "at once";

  constructor(world: ByHand, options: Partial<ServerCoreOptions>) {
    this.world = world;
    this.core = new ServerCore(
      {
        ...LINK_OPTIONS,
        resumeForMs: 300_000,
        handshakeMs: 60_000,
        maxHandshakes: 100,
        maxSessions: 100,
        maxSessionsPerIdentity: 100,
        serverId: `${10 + world.servers.length}`.repeat(6),
        maxConnections: 100,
        maxConnectionsPerAddress: Infinity,
        maxAuthenticating: 100,
        admission: WELCOMING,
        ...options,
      },
      seededEntropy(world.random),
    );
  }

  /** Whom the application was given. */
  get link(): ServerLinkCore {
    const [link] = this.links;
    if (link === undefined || this.links.length > 1) throw new Error(`${this.links.length} links`);
    return link;
  }

  verdict(line: Line, identity = "alice", claims?: unknown): void {
    this.core.authenticated(line.id, { identity, claims }, this.world.nowMs);
    this.world.drain();
  }

  refuse(line: Line, reason = ""): void {
    this.core.authenticated(line.id, { refused: reason }, this.world.nowMs);
    this.world.drain();
  }

  /** The store's answer to what the connection waits for. */
  adopt(line: Line, answer: StoreAnswer): void {
    this.core.adopted(line.id, answer, this.world.nowMs);
    this.world.drain();
  }

  get refusals(): string[] {
    return this.events.flatMap((event) => (event.type === "refused" ? [event.code] : []));
  }

  drain(): void {
    for (const event of this.core.events.splice(0)) {
      this.events.push(event);
      if (event.type === "link" || event.type === "restored") this.links.push(event.link);
      if (event.type === "close-connection") this.lines.get(event.channel)?.closedBy("server", event.last);
      if (event.type === "authenticate" && this.authentication === "at once") {
        const identity = event.credentials.toString();
        this.core.authenticated(event.channel, { identity, claims: undefined }, this.world.nowMs);
        this.drain();
      }
    }
    for (const link of this.links) {
      for (const event of link.events.splice(0)) {
        this.linkEvents.push(event);
        if (event.type === "close-connection") this.lines.get(event.channel)?.closedBy("server", event.last);
      }
    }
  }
}

/** One connection. */
export class Line {
  readonly id: number;
  readonly #world: ByHand;
  readonly #server: HandServer;
  readonly #client: ClientLinkCore | undefined;
  /** On the way, and whether the end that wrote it has closed after it. */
  readonly #up = { bytes: [] as Buffer[], ended: false };
  readonly #down = { bytes: [] as Buffer[], ended: false };
  #gone = { client: false, server: false };

  /** Without a client: a stranger's. */
  constructor(world: ByHand, server: HandServer, client?: ClientLinkCore, peer = "192.0.2.1", isForwarded = false) {
    this.id = world.newId();
    this.#world = world;
    this.#server = server;
    this.#client = client;
    server.lines.set(this.id, this);
    server.core.connectionOpened(this.id, peer, world.nowMs, isForwarded);
    world.drain();
  }

  get isOpen(): boolean {
    return !this.#gone.client && !this.#gone.server;
  }

  closedBy(end: "client" | "server", last: readonly Buffer[] | undefined): void {
    if (this.#gone[end]) return;
    this.#gone[end] = true;
    const way = end === "client" ? this.#up : this.#down;
    way.bytes.push(...(last ?? []));
    way.ended = true;
  }

  #write(end: "client" | "server", roomBytes: number): void {
    const { nowMs } = this.#world;
    if (this.#gone[end]) return;
    const core = end === "client" ? this.#client : this.#server.core;
    const way = end === "client" ? this.#up : this.#down;
    for (const link of end === "client" ? [this.#client] : this.#server.core.links()) link?.endTurn();
    for (let left = roomBytes; left > 0;) {
      const out = core?.transmit(this.id, left, nowMs) ?? [];
      if (out.length === 0) break;
      way.bytes.push(...out);
      left -= out.reduce((sum, { length }) => sum + length, 0);
    }
    this.#world.drain();
  }

  /** What the client has written by now, taken off the line. */
  takeUp(roomBytes: number = 1_000_000): Buffer {
    this.#write("client", roomBytes);
    return Buffer.concat(this.#up.bytes.splice(0));
  }

  takeDown(roomBytes: number = 1_000_000): Buffer {
    this.#write("server", roomBytes);
    return Buffer.concat(this.#down.bytes.splice(0));
  }

  /** `bytes` arrive at the server, whoever wrote them. */
  give(bytes: Buffer): void {
    if (!this.#gone.server) this.#server.core.receive(this.id, bytes, this.#world.nowMs);
    this.#world.drain();
  }

  giveDown(bytes: Buffer): void {
    if (!this.#gone.client) this.#client?.receive(this.id, bytes, this.#world.nowMs);
    this.#world.drain();
  }

  /** What the client writes arrives at the server. Answers the frames. */
  up(): Moved[] {
    const bytes = this.takeUp();
    if (bytes.length > 0) this.give(bytes);
    if (this.#up.ended) this.lose("server", "closed by the peer");
    return decoded(bytes);
  }

  /** What the server writes arrives at the client. */
  down(): Moved[] {
    const bytes = this.takeDown();
    if (bytes.length > 0) this.giveDown(bytes);
    if (this.#down.ended) this.lose("client", "closed by the peer");
    return decoded(bytes);
  }

  /** Until nothing moves any more. Answers all frames. */
  settle(): Moved[] {
    const moved: Moved[] = [];
    for (let quiet = false; !quiet;) {
      const frames = [...this.up(), ...this.down()];
      moved.push(...frames);
      quiet = frames.length === 0;
    }
    return moved;
  }

  /** Both ends hear of it; what is on the way is lost. */
  cut(): void {
    this.#up.bytes = [];
    this.#down.bytes = [];
    this.lose("client", "cut");
    this.lose("server", "cut");
  }

  /** Only that end hears of it, for now. */
  lose(end: "client" | "server", reason: string = "cut"): void {
    if (this.#gone[end]) return;
    this.#gone[end] = true;
    const core = end === "client" ? this.#client : this.#server.core;
    core?.connectionClosed(this.id, reason, this.#world.nowMs);
    this.#world.drain();
  }
}

// ── applications ────────────────────────────────────────────────────────────────────────────────────────────────────

export function say(core: LinkCore, ...texts: string[]): void {
  for (const text of texts) core.take(text, Buffer.byteLength(text), false);
}

/** Reads what is here, and accepts it. */
export function hear(core: LinkCore): string[] {
  const heard = read(core);
  core.accept(core.session.receiver.handed);
  return heard;
}

/** Reads what is here; the consumer is still at work on it. */
export function read(core: LinkCore): string[] {
  const texts: string[] = [];
  for (let message = core.next(); message !== undefined; message = core.next()) texts.push(message.toString());
  return texts;
}

export function namesOf(frames: readonly Moved[]): string[] {
  return frames.map(({ type }) => type);
}

type FrameOf<Type, Any = Moved> = Any extends { type: string } ? (Type extends Any["type"] ? Any : never) : never;

/** The only frame of that type among them. */
export function only<Type extends Moved["type"]>(frames: readonly Moved[], type: Type): FrameOf<Type> {
  const found = frames.filter((frame) => frame.type === type);
  if (found.length !== 1) throw new Error(`${found.length} ${type} among ${namesOf(frames).join(" ")}`);
  return found[0] as FrameOf<Type>;
}

export function outcomeOf(events: readonly LinkCoreEvent[]): Extract<LinkCoreEvent, { type: "ended" }> | undefined {
  return events.find((event) => event.type === "ended");
}
