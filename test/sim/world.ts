/**
 * A world of real cores on a simulated network: applications that send numbered messages and read at their own pace, and a
 * check after every step of what must hold whatever happens.
 */
import { backoffDelayMs } from "../../src/core/backoff.ts";
import { ClientCore, type DialRole } from "../../src/core/client.ts";
import type { Mode } from "../../src/core/frames.ts";
import type { LinkCore, LinkCoreEvent, Outcome } from "../../src/core/link-core.ts";
import { ServerCore, type ServerCoreOptions, type Verdict } from "../../src/core/server.ts";
import type { ServerLink } from "../../src/core/server-link.ts";
import type { UndeliveredEntry } from "../../src/core/sender.ts";
import { windowFloorBytes } from "../../src/core/session.ts";
import type { Budget } from "../../src/core/window.ts";
import { EventClock } from "../../src/testing/clock.ts";
import { SimNetwork, type SimSocket } from "../../src/testing/network.ts";
import { seeded, seededEntropy } from "./random.ts";

export interface WorldOptions {
  seed: number;
  mode: Mode;
  servers: number;
  whenSessionLost: "report" | "resend" | "end";
  maxMessageBytes: { client: number; server: number };
  window: { minBytes: number; maxBytes: number };
  queue: { maxMessages: number; maxBytes: number };
  budgetBytes: number;
  kernelBytes: number;
  pingAfterMs: number;
  suspectAfterMs: number;
  resumeForMs: number;
  handshakeMs: number;
  /** How long the authentication of a connection takes at most; 0: it is answered at once. */
  authenticateMs: number;
  /** How many messages each side wants to send. */
  messages: { client: number; server: number };
  payloadBytes: number;
  /** A consumer takes a message every so many milliseconds on average; 0: as they come. */
  consumerMs: number;
  /** Who ends its direction when all is sent. Both: the link closes by itself. */
  ends: { client: boolean; server: boolean };
}

export const DEFAULTS: WorldOptions = {
  seed: 1,
  mode: "messages",
  servers: 1,
  whenSessionLost: "report",
  maxMessageBytes: { client: 1_000, server: 1_000 },
  window: { minBytes: 4_096, maxBytes: 65_536 },
  queue: { maxMessages: 100, maxBytes: 65_536 },
  budgetBytes: 1_000_000,
  kernelBytes: 16_384,
  pingAfterMs: 1_000,
  suspectAfterMs: 500,
  resumeForMs: 300_000,
  handshakeMs: 10_000,
  authenticateMs: 0,
  messages: { client: 50, server: 50 },
  payloadBytes: 100,
  consumerMs: 0,
  ends: { client: true, server: true },
};

/** Thrown when something that must hold does not. */
export class Violation extends Error {}

function check(holds: boolean, what: () => string): asserts holds {
  if (!holds) throw new Violation(what());
}

/** A budget that knows what was taken, so that a leak shows. */
export class CountingBudget implements Budget {
  taken = 0;
  readonly #most: number;
  constructor(most: number) {
    this.#most = most;
  }
  take(bytes: number): boolean {
    if (this.taken + bytes > this.#most) return false;
    this.taken += bytes;
    return true;
  }
  give(bytes: number): void {
    this.taken -= bytes;
    check(this.taken >= 0, () => "more was given back than was taken");
  }
}

export class World {
  readonly options: WorldOptions;
  readonly clock: EventClock = new EventClock();
  readonly random: () => number;
  readonly network: SimNetwork;
  readonly servers: SimServer[] = [];
  readonly client: SimClient;
  readonly windowBudget: CountingBudget;
  readonly logBudget: CountingBudget;
  /** What happened, for a failing seed; kept short. */
  readonly trace: string[] = [];
  /** How often each thing occurred: what never does is not tested. */
  readonly counts = new Map<string, number>();
  /** Every incarnation that an application was given, by session id: one owner each. */
  readonly owners = new Map<string, string>();
  #channels = 0;

  constructor(options: Partial<WorldOptions> = {}) {
    this.options = { ...DEFAULTS, ...options };
    this.random = seeded(this.options.seed);
    this.network = new SimNetwork(this.clock, this.random, this.options.kernelBytes);
    this.windowBudget = new CountingBudget(this.options.budgetBytes);
    this.logBudget = new CountingBudget(this.options.budgetBytes);
    for (let n = 0; n < this.options.servers; n++) this.servers.push(new SimServer(this, `server-${n}`));
    this.client = new SimClient(this);
  }

  note(what: string): void {
    if (this.trace.length > 4_000) this.trace.splice(0, 1_000);
    this.trace.push(`${this.clock.nowMs.toFixed(1)} ${what}`);
  }

  count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  newChannel(): number {
    return ++this.#channels;
  }

  coreOptions(side: "client" | "server"): ConstructorParameters<typeof ClientCore>[0] {
    const { options } = this;
    return {
      mode: options.mode,
      maxMessageBytes: options.maxMessageBytes[side],
      maxBatchBytes: 0,
      window: options.window,
      windowBudget: this.windowBudget,
      logBudget: this.logBudget,
      queue: options.queue,
      keepalive: {
        pingAfterMs: side === "client" ? options.pingAfterMs : 3 * options.pingAfterMs,
        suspectAfterMs: options.suspectAfterMs,
        stalledAfterMs: [200, 400],
      },
      instance: "11".repeat(16),
      epoch: 1,
      openPayload: Buffer.from("hello"),
      whenSessionLost: options.whenSessionLost,
    };
  }

  /** Runs until `done`, checking after every step; fails when the simulated time is over. */
  runUntil(done: () => boolean, withinMs: number, what: string): void {
    const untilMs = this.clock.nowMs + withinMs;
    while (!done()) {
      check(this.clock.step(untilMs), () => `not within ${withinMs} ms: ${what}; ${this.describe()}`);
      this.checkAll();
    }
  }

  runFor(ms: number): void {
    const untilMs = this.clock.nowMs + ms;
    while (this.clock.step(untilMs)) this.checkAll();
    this.clock.runUntil(untilMs);
  }

  describe(): string {
    const ends = [this.client.end, ...this.servers.flatMap(({ ends }) => [...ends.values()])];
    return ends.map((end) => end.describe()).join("; ");
  }

  checkAll(): void {
    this.client.end.checkBounds();
    for (const server of this.servers) for (const end of server.ends.values()) end.checkBounds();
    // One owner for each session, over all servers.
    const ids = new Set<string>();
    for (const server of this.servers) {
      for (const [link] of server.ends) {
        if (link.session.phase !== "live") continue;
        const { id } = link.session.keys;
        check(!ids.has(id), () => `two servers own session ${id}`);
        ids.add(id);
      }
    }
  }

  /** No fault is on any more, and none comes. */
  heal(): void {
    for (const server of this.servers) {
      const path = this.network.path(server.address);
      Object.assign(path, { latencyMs: 1, jitterMs: 0, refuses: false, dialDelayMs: 5 });
      path.stalled = { "to-server": false, "to-client": false };
      if (!server.isUp) server.start();
      this.network.resume(server.address);
    }
    this.client.route = 0;
    this.client.paused = false;
    for (const server of this.servers) for (const end of server.ends.values()) end.paused = false;
    this.client.end.paused = false;
    this.client.retryNow();
    this.note("healed");
  }
}

/** An application on one end of a link: it sends numbered messages, and checks what it gets. */
export class End {
  readonly world: World;
  readonly name: string;
  readonly core: LinkCore;
  /** What this end says, and how much of it was taken. */
  readonly #wants: number;
  taken = 0;
  /** The next number of the peer that may arrive; lower ones were handed out or reported. */
  expected = 0;
  readonly handed: number[] = [];
  readonly reported: Array<{ number: number; delivery: string }> = [];
  outcome: Outcome | undefined;
  paused = false;
  /** Bytes mode: how much was taken and handed. */
  bytesTaken = 0;
  bytesHanded = 0;
  #consumerAt = 0;
  #positions = new Map<string, number>();
  #ends: boolean;
  readonly #kick: () => void;

  constructor(world: World, name: string, core: LinkCore, wants: number, ends: boolean, kick: () => void) {
    this.world = world;
    this.name = name;
    this.core = core;
    this.#wants = wants;
    this.#ends = ends;
    this.#kick = kick;
  }

  get allTaken(): boolean {
    return this.taken >= this.#wants;
  }

  /** Sends and reads what it can. */
  run(): void {
    this.#send();
    this.#read();
  }

  #send(): void {
    const { core, world } = this;
    while (!this.allTaken && !core.sendingEnded) {
      const size = payloadSize(this.taken, world.options.payloadBytes);
      const payload = world.options.mode === "bytes" ? streamPiece(this.bytesTaken, size) : encodeMessage(this.taken, size);
      if (!core.hasRoom(payload.length)) return;
      if (this.taken % 7 === 0) core.session.sender.askForAck();
      core.take(payload, payload.length, this.taken % 5 === 0);
      // Whoever gives a payload to be copied may change it at once.
      if (this.taken % 5 !== 0) payload.fill(0xee);
      this.taken++;
      this.bytesTaken += payload.length;
    }
    // A consumer that is told of the end ends too, as without allowHalfOpen.
    const ends = this.#ends ? this.allTaken || core.session.peerStopped : core.session.inDone;
    if (ends && core.session.sender.endKind === "none") core.end();
  }

  #read(): void {
    const { world, core } = this;
    const { consumerMs } = world.options;
    while (!this.paused) {
      if (consumerMs > 0 && world.clock.nowMs < this.#consumerAt) return;
      const { id } = core.session.keys;
      const message = core.next();
      if (message === undefined) return;
      const { receiver } = core.session;
      if (world.options.mode === "bytes") this.#checkBytes(message);
      else this.#checkMessage(message);
      const before = this.#positions.get(id) ?? 0;
      check(receiver.handed > before, () => `${this.name}: position ${receiver.handed} after ${before}`);
      this.#positions.set(id, receiver.handed);
      if (consumerMs === 0) {
        core.accept(receiver.handed);
      } else {
        const pause = 2 * consumerMs * world.random();
        const position = receiver.handed;
        const { session } = core;
        this.#consumerAt = world.clock.nowMs + pause;
        world.clock.schedule(pause, () => {
          // The consumer comes back: it has accepted what it held, and reads on.
          if (core.session === session) core.accept(position);
          this.#kick();
        });
      }
    }
  }

  #checkMessage(message: Buffer): void {
    const { world } = this;
    const number = message.readUInt32BE(0);
    const expectedBytes = encodeMessage(number, payloadSize(number, world.options.payloadBytes));
    check(message.equals(expectedBytes), () => `${this.name}: message ${number} is corrupt`);
    const repeats = world.options.whenSessionLost === "resend" && number < this.expected;
    check(number >= this.expected || repeats, () => `${this.name}: message ${number} again, expected ${this.expected}`);
    this.handed.push(number);
    this.expected = Math.max(this.expected, number + 1);
    world.count("handed");
  }

  #checkBytes(bytes: Buffer): void {
    for (const byte of bytes) {
      check(byte === streamByte(this.bytesHanded), () => `${this.name}: byte ${this.bytesHanded} is wrong`);
      this.bytesHanded++;
    }
  }

  report(entries: UndeliveredEntry[]): void {
    for (const { message, delivery } of entries) {
      if (this.world.options.mode === "bytes") continue;
      const number = message.readUInt32BE(0);
      check(
        message.equals(encodeMessage(number, payloadSize(number, this.world.options.payloadBytes))),
        () => `${this.name}: reported message ${number} is corrupt`,
      );
      this.reported.push({ number, delivery });
    }
  }

  checkBounds(): void {
    const { core, world } = this;
    const { sender, receiver } = core.session;
    const { queue, window, maxMessageBytes } = world.options;
    check(sender.acked <= sender.highestSent, () => `${this.name}: acked ${sender.acked} of ${sender.highestSent} sent`);
    check(sender.sentNow <= sender.highestSent || core.adopted !== undefined, () => `${this.name}: sent out of order`);
    check(receiver.accepted <= receiver.received, () => `${this.name}: accepted more than received`);
    check(
      receiver.handed <= receiver.received && receiver.readableBytes >= 0,
      () => `${this.name}: handed ${receiver.handed}, received ${receiver.received}`,
    );
    // What is sent again in a new session was in the log of the old one, and waits beside the queue.
    if (sender.carriedWritten === 0) {
      check(sender.queuedBytes <= queue.maxBytes, () => `${this.name}: ${sender.queuedBytes} bytes queued`);
      check(sender.queuedMessages <= queue.maxMessages, () => `${this.name}: ${sender.queuedMessages} messages queued`);
    }
    const most = Math.max(maxMessageBytes.client, maxMessageBytes.server);
    const floor = windowFloorBytes({ mode: world.options.mode, maxMessageBytes: most, maxBatchBytes: 0 });
    check(
      receiver.stopped || receiver.unacceptedBytes <= Math.max(floor, window.maxBytes),
      () => `${this.name}: ${receiver.unacceptedBytes} bytes unaccepted`,
    );
  }

  describe(): string {
    const { sender, receiver, phase } = this.core.session;
    return (
      `${this.name}: ${phase} ${this.core.adopted === undefined ? "offline" : "online"} taken ${this.taken}/${this.#wants} ` +
      `acked ${sender.acked} sent ${sender.sentNow} high ${sender.highestSent} limit ${sender.limit} end ${sender.log.end} ` +
      `${sender.endKind} | received ${receiver.received} handed ${receiver.handed} accepted ${receiver.accepted} ` +
      `grant ${receiver.grant} ${receiver.endKind} outcome ${this.outcome}`
    );
  }
}

interface Socketed {
  socket: SimSocket;
}

/** What drives a client's core: dials with the product's backoff, and passes bytes. */
export class SimClient {
  readonly world: World;
  readonly core: ClientCore;
  readonly end: End;
  /** Which server is dialled. */
  route = 0;
  /** Nothing is dialled. */
  paused = false;
  readonly #sockets = new Map<number, Socketed>();
  readonly events: LinkCoreEvent[] = [];
  #wake: () => void = () => {};
  #wakeMs = Infinity;
  #dialling: (() => void) | undefined;
  #diallingStandby = false;
  #failures = 0;
  #downSinceMs = 0;
  #retryAfterMs = 0;
  #pumping = false;
  #running = false;

  constructor(world: World) {
    this.world = world;
    this.core = new ClientCore(world.coreOptions("client"), seededEntropy(world.random));
    const { messages, ends } = world.options;
    this.end = new End(world, "client", this.core, messages.client, ends.client, () => this.pump());
    world.clock.schedule(0, () => this.pump());
  }

  /** As retryNow(): the network is known to be back. */
  retryNow(): void {
    this.#dialling?.();
    this.#dialling = undefined;
    this.#failures = 0;
    this.pump();
  }

  pump(): void {
    if (this.#pumping) {
      this.#running = true;
      return;
    }
    this.#pumping = true;
    do {
      this.#running = false;
      this.end.run();
      this.#drainEvents();
      this.#transmit();
      this.#drainEvents();
      this.#dial();
    } while (this.#running);
    this.#pumping = false;
    this.#schedule();
  }

  #drainEvents(): void {
    for (let event = this.core.events.shift(); event !== undefined; event = this.core.events.shift()) {
      this.events.push(event);
      this.world.count(`client ${event.type}`);
      this.#onEvent(event);
    }
  }

  #onEvent(event: LinkCoreEvent): void {
    const { world } = this;
    switch (event.type) {
      case "connected":
        world.note(`client: connected ${event.session} ${event.reason}`);
        world.count(`client connected ${event.session} ${event.reason}`);
        if (event.session === "new") this.end.expected = 0;
        this.#failures = 0;
        break;
      case "disconnected":
        world.note(`client: disconnected ${event.reason} ${event.fault?.detail ?? ""}`);
        this.#downSinceMs = world.clock.nowMs;
        this.#checkFault(event.fault?.code);
        break;
      case "attempt-failed":
        world.note(`client: attempt failed ${event.reason} ${event.fault?.detail ?? ""}`);
        world.count(`client attempt-failed ${event.reason}`);
        this.#failures++;
        this.#retryAfterMs = event.retryAfterMs;
        this.#checkFault(event.fault?.code);
        break;
      case "close-connection": {
        const entry = this.#sockets.get(event.channel);
        this.#sockets.delete(event.channel);
        closeSocket(entry?.socket, event.last, event.reason === "not needed");
        break;
      }
      case "replaced":
        world.note(`client: session replaced, ${event.reason}, ${event.undelivered.length} reported`);
        this.end.report(event.undelivered);
        break;
      case "ended":
        world.note(`client: ended ${event.outcome} ${event.detail}`);
        this.end.outcome = event.outcome;
        this.end.report(event.undelivered);
        break;
      case "suspect":
      case "recovered":
      case "gone":
        world.note(`client: ${event.type}`);
        break;
    }
  }

  /** Between two honest ends no fault of the protocol ever occurs. */
  #checkFault(code: string | undefined): void {
    check(code === undefined || code === "gap", () => `client: an honest server made a fault: ${code}`);
  }

  #transmit(): void {
    const { core, world } = this;
    for (const [id, { socket }] of this.#sockets) {
      for (let room = socket.roomBytes; room > 0; room = socket.roomBytes) {
        const out = core.transmit(id, room, world.clock.nowMs);
        if (out.length === 0) break;
        socket.write(Buffer.concat(out));
      }
    }
  }

  #dial(): void {
    const { core, world } = this;
    if (this.paused) return;
    if (core.wantsDial && this.#dialling === undefined) {
      const outageMs = world.clock.nowMs - this.#downSinceMs;
      const backoff = { minDelayMs: 100, maxDelayMs: 2_000 };
      const delay = backoffDelayMs(this.#failures, outageMs, this.#retryAfterMs, backoff, world.random());
      this.#retryAfterMs = 0;
      const taken: Array<() => void> = [];
      taken.push(
        world.clock.schedule(delay, () => {
          taken.push(this.#dialNow("primary"));
          // A dial that hangs is given up; it may still arrive at the server, late.
          world.clock.schedule(3_000, () => {
            if (this.#dialling === cancel && core.wantsDial) {
              this.#dialling = undefined;
              this.#failures++;
              this.pump();
            }
          });
        }),
      );
      const cancel = (): void => {
        for (const one of taken) one();
      };
      this.#dialling = cancel;
    }
    if (core.wantsStandby && !this.#diallingStandby) {
      this.#diallingStandby = true;
      this.#dialNow("standby");
      world.clock.schedule(core.standbyPatienceMs, () => {
        core.standbyTimedOut(world.clock.nowMs);
        this.pump();
      });
    }
  }

  #dialNow(role: DialRole): () => void {
    const { world, core } = this;
    const server = world.servers[this.route] as SimServer;
    world.count(`dial ${role}`);
    const failed = (): void => {
      if (role === "standby") {
        this.#diallingStandby = false;
        core.standbyDialFailed(false, world.clock.nowMs);
      } else {
        this.#dialling = undefined;
        this.#failures++;
      }
      this.pump();
    };
    return world.network.dial(
      server.address,
      (socket) => {
        if (role === "standby") this.#diallingStandby = false;
        else this.#dialling = undefined;
        if (role === "primary" && !core.wantsDial) return socket.destroy();
        this.#opened(socket, role);
      },
      failed,
    );
  }

  #opened(socket: SimSocket, role: DialRole): void {
    const { world, core } = this;
    const id = world.newChannel();
    this.#sockets.set(id, { socket });
    socket.events = {
      onData: (chunk) => {
        core.receive(id, chunk, world.clock.nowMs);
        this.pump();
      },
      onClose: (reason) => {
        this.#sockets.delete(id);
        core.connectionClosed(id, reason, world.clock.nowMs);
        this.pump();
      },
      onDrain: () => this.pump(),
    };
    core.connectionOpened(id, role, Buffer.from("let me in"), world.clock.nowMs);
    if (role === "primary") {
      // The handshake's deadline.
      world.clock.schedule(3_000, () => {
        if (this.#sockets.get(id)?.socket !== socket || core.adopted?.id === id) return;
        this.#sockets.delete(id);
        socket.destroy();
        core.connectionClosed(id, "handshake timed out", world.clock.nowMs);
        this.pump();
      });
    }
    this.pump();
  }

  #schedule(): void {
    const { world, core } = this;
    const dueMs = core.nextTimeoutMs;
    if (dueMs === this.#wakeMs) return;
    this.#wake();
    this.#wakeMs = dueMs;
    if (dueMs === Infinity) return;
    this.#wake = world.clock.schedule(dueMs - world.clock.nowMs, () => {
      this.#wakeMs = Infinity;
      core.tick(world.clock.nowMs);
      this.pump();
    });
  }
}

/** A server process: its core, its sockets, and an application for each link. */
export class SimServer {
  readonly world: World;
  readonly address: string;
  isUp = false;
  core!: ServerCore;
  ends = new Map<ServerLink, End>();
  /** The ends of this and every earlier life of the server, with when they died. */
  readonly allEnds: End[] = [];
  #sockets = new Map<number, Socketed>();
  #wake: () => void = () => {};
  /** Which life of the process this is: what was begun in an earlier one is dropped. */
  #life = 0;
  readonly #pumping = { now: false, again: false };

  constructor(world: World, address: string) {
    this.world = world;
    this.address = address;
    this.start();
  }

  start(): void {
    const { world } = this;
    const { options } = world;
    const coreOptions: ServerCoreOptions = {
      ...world.coreOptions("server"),
      resumeForMs: options.resumeForMs,
      handshakeMs: options.handshakeMs,
      maxHandshakes: 20,
      maxSessions: 50,
      maxSessionsPerIdentity: 50,
      admit: () => (world.random() < 0.02 ? 50 : 0),
    };
    this.core = new ServerCore(coreOptions, seededEntropy(world.random));
    this.isUp = true;
    world.network.listen(this.address, (socket) => this.#accepted(socket));
  }

  /** The process dies and forgets everything. */
  kill(): void {
    this.isUp = false;
    this.#life++;
    this.world.network.unlisten(this.address);
    for (const { socket } of this.#sockets.values()) socket.destroy();
    this.#sockets.clear();
    for (const link of this.core.links()) link.session.release();
    this.ends.clear();
    this.#wake();
    this.world.note(`${this.address}: killed`);
  }

  #accepted(socket: SimSocket): void {
    const { world, core } = this;
    const life = this.#life;
    const id = world.newChannel();
    this.#sockets.set(id, { socket });
    const alive = (): boolean => this.isUp && this.#life === life;
    socket.events = {
      onData: (chunk) => {
        if (!alive()) return;
        core.receive(id, chunk, world.clock.nowMs);
        this.pump();
      },
      onClose: (reason) => {
        this.#sockets.delete(id);
        if (!alive()) return;
        core.connectionClosed(id, reason, world.clock.nowMs);
        this.pump();
      },
      onDrain: () => alive() && this.pump(),
    };
    core.connectionOpened(id, world.clock.nowMs);
    this.pump();
  }

  pump(): void {
    if (!this.isUp) return;
    if (this.#pumping.now) {
      this.#pumping.again = true;
      return;
    }
    this.#pumping.now = true;
    do {
      this.#pumping.again = false;
      this.#drainEvents();
      for (const end of this.ends.values()) end.run();
      this.#drainEvents();
      this.#transmit();
      this.#drainEvents();
    } while (this.#pumping.again);
    this.#pumping.now = false;
    this.#schedule();
  }

  #drainEvents(): void {
    const { core, world } = this;
    for (let event = core.events.shift(); event !== undefined; event = core.events.shift()) {
      world.count(`server ${event.type}`);
      switch (event.type) {
        case "authenticate":
          this.#authenticate(event.channel);
          break;
        case "link":
          this.#welcome(event.link);
          break;
        case "refused":
          world.note(`${this.address}: refused ${event.code} ${event.reason}`);
          world.count(`server refused ${event.code}`);
          break;
        case "close-connection":
          if (event.fault !== undefined) world.note(`${this.address}: ${event.reason} ${event.fault.detail}`);
          check(event.fault === undefined, () => `${this.address}: an honest client made a fault: ${event.reason} ${event.fault?.detail}`);
          this.#closeSocket(event.channel, event.last, event.reason === "handshake timed out");
          break;
        case "attached":
          break;
      }
    }
    for (const link of this.ends.keys()) this.#drainLink(link);
  }

  #authenticate(channel: number): void {
    const { world, core } = this;
    const verdict: Verdict = world.random() < 0.02 ? "unavailable" : { identity: "alice" };
    if (world.options.authenticateMs === 0) return core.authenticated(channel, verdict, world.clock.nowMs);
    const life = this.#life;
    world.clock.schedule(world.options.authenticateMs * world.random(), () => {
      if (!this.isUp || this.#life !== life) return;
      core.authenticated(channel, verdict, world.clock.nowMs);
      this.pump();
    });
  }

  #welcome(link: ServerLink): void {
    const { world } = this;
    const { id } = link.session.keys;
    const { messages, ends } = world.options;
    world.note(`${this.address}: link ${id.slice(0, 4)}`);
    check(!world.owners.has(id), () => `session ${id} was given to an application twice`);
    world.owners.set(id, this.address);
    check(link.openPayload.toString() === "hello", () => "the open payload is wrong");
    const end = new End(world, this.address, link, messages.server, ends.server, () => this.pump());
    end.expected = 0;
    this.ends.set(link, end);
    this.allEnds.push(end);
  }

  #drainLink(link: ServerLink): void {
    const { world } = this;
    const end = this.ends.get(link);
    for (let event = link.events.shift(); event !== undefined; event = link.events.shift()) {
      world.count(`link ${event.type}`);
      switch (event.type) {
        case "ended":
          world.note(`${this.address}: ended ${event.outcome} ${event.detail}`);
          if (end !== undefined) {
            end.outcome = event.outcome;
            end.report(event.undelivered);
          }
          break;
        case "close-connection":
          this.#closeSocket(event.channel, event.last, false);
          if (event.fault !== undefined) world.note(`${this.address}: ${event.reason} ${event.fault.detail}`);
          check(
            event.fault === undefined || event.fault.code === "gap",
            () => `${this.address}: an honest client made a fault: ${event.fault?.detail}`,
          );
          break;
        case "gone":
          world.note(`${this.address}: gone`);
          this.ends.delete(link);
          break;
        case "connected":
          world.note(`${this.address}: connected ${event.reason}`);
          break;
        case "disconnected":
          world.note(`${this.address}: disconnected ${event.reason}`);
          // Memory is short, now and then: what no consumer has been handed is forgotten, and comes again.
          if (world.random() < 0.3) {
            link.session.receiver.forget();
            world.count("forgot");
          }
          break;
        case "attempt-failed":
        case "replaced":
        case "suspect":
        case "recovered":
          break;
      }
    }
  }

  #closeSocket(channel: number, last: Buffer[], abruptly: boolean): void {
    const entry = this.#sockets.get(channel);
    this.#sockets.delete(channel);
    closeSocket(entry?.socket, last, abruptly);
  }

  #transmit(): void {
    const { core, world } = this;
    for (const [id, { socket }] of this.#sockets) {
      for (let room = socket.roomBytes; room > 0; room = socket.roomBytes) {
        const out = core.transmit(id, room, world.clock.nowMs);
        if (out.length === 0) break;
        socket.write(Buffer.concat(out));
      }
    }
  }

  #schedule(): void {
    const { world, core } = this;
    this.#wake();
    let dueMs = core.nextTimeoutMs;
    for (const link of this.ends.keys()) dueMs = Math.min(dueMs, link.nextTimeoutMs);
    if (dueMs === Infinity) return;
    const life = this.#life;
    this.#wake = world.clock.schedule(dueMs - world.clock.nowMs, () => {
      if (!this.isUp || this.#life !== life) return;
      core.tick(world.clock.nowMs);
      for (const link of this.ends.keys()) link.tick(world.clock.nowMs);
      this.pump();
    });
  }
}

function closeSocket(socket: SimSocket | undefined, last: Buffer[], abruptly: boolean): void {
  if (socket === undefined) return;
  for (const bytes of last) socket.write(bytes);
  if (abruptly) socket.destroy();
  else socket.end();
}

export function payloadSize(number: number, payloadBytes: number): number {
  return 4 + ((number * 7_919) % Math.max(1, payloadBytes - 3));
}

export function encodeMessage(number: number, bytes: number): Buffer {
  const message = Buffer.alloc(bytes, number & 0xff);
  message.writeUInt32BE(number, 0);
  return message;
}

export function streamPiece(position: number, bytes: number): Buffer {
  return Buffer.from(Array.from({ length: bytes }, (_, n) => streamByte(position + n)));
}

export function streamByte(position: number): number {
  return (position * 31 + (position >> 8)) & 0xff;
}
