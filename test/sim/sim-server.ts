/** A server process: its core, its connections, and an application for each link. */
import type { LinkCoreEvent } from "../../src/core/link-events.ts";
import { ServerCore, type ServerCoreEvent, type ServerCoreOptions, type Verdict } from "../../src/core/server.ts";
import type { ServerLink } from "../../src/core/server-link.ts";
import type { SimSocket } from "../../src/testing/network.ts";
import { End } from "./end.ts";
import { SimProcess } from "./process.ts";
import { seededEntropy } from "../../src/testing/random.ts";
import { check, type Stage } from "./stage.ts";

const FOR_EVER_MS = 3_600_000;

export class SimServer extends SimProcess {
  isUp = false;
  core!: ServerCore;
  readonly ends = new Map<ServerLink, End>();
  /** The ends of this and every earlier life of the server. */
  readonly allEnds: End[] = [];
  /** It goes away as soon as its sessions are through. */
  leaves = false;
  /** The counter of the connection that each link adopted last. */
  readonly #counters = new Map<ServerLink, number>();

  constructor(stage: Stage, address: string) {
    super(stage, address);
    this.start();
  }

  start(): void {
    const { options, random } = this.stage;
    const coreOptions: ServerCoreOptions = {
      ...this.stage.coreOptions("server"),
      resumeForMs: options.resumeForMs,
      handshakeMs: options.handshakeMs,
      maxHandshakes: 20,
      maxSessions: 50,
      maxSessionsPerIdentity: 20,
      admit: () => (random() < 0.02 ? 50 : 0),
    };
    this.core = new ServerCore(coreOptions, seededEntropy(random));
    this.isUp = true;
    this.leaves = false;
    this.listen();
  }

  listen(): void {
    if (this.isUp) this.stage.network.listen(this.name, (socket) => this.#accepted(socket));
  }

  kill(): void {
    this.isUp = false;
    this.stage.network.unlisten(this.name);
    this.die();
    for (const link of this.core.links()) link.session.release();
    this.ends.clear();
    this.stage.note(`${this.name}: killed`);
  }

  /** It goes away: its clients are asked to go on elsewhere. */
  drain(forMs: number): void {
    this.core.drain(forMs, this.stage.clock.nowMs);
    this.pump();
  }

  /** It goes away as `drain()` says, has all the time it needs, and another is started in its place. */
  leave(): void {
    if (!this.isUp || this.leaves) return;
    this.leaves = true;
    this.drain(FOR_EVER_MS);
    this.#lookIfThrough();
  }

  #lookIfThrough(): void {
    const life = this.core;
    this.stage.clock.schedule(200, () => {
      if (this.core !== life || !this.isUp) return;
      if (this.core.sessions > 0) return this.#lookIfThrough();
      this.stage.count("server left");
      this.kill();
      this.start();
    });
  }

  #accepted(socket: SimSocket): void {
    const channel = this.addSocket(socket);
    this.input(() => {
      if (this.sockets.has(channel)) this.core.connectionOpened(channel, this.stage.clock.nowMs);
    });
  }

  protected override step(): void {
    if (!this.isUp) return;
    this.#drainEvents();
    for (const end of this.ends.values()) end.run();
    this.#drainEvents();
    for (const link of this.ends.keys()) link.endTurn();
    this.transmitAll();
    this.#drainEvents();
  }

  protected override get nextTimeoutMs(): number {
    let dueMs = this.isUp ? this.core.nextTimeoutMs : Infinity;
    for (const link of this.ends.keys()) dueMs = Math.min(dueMs, link.nextTimeoutMs);
    return dueMs;
  }

  protected override tick(): void {
    const { nowMs } = this.stage.clock;
    this.core.tick(nowMs);
    for (const link of this.ends.keys()) link.tick(nowMs);
  }

  protected override receive(channel: number, chunk: Buffer): void {
    this.core.receive(channel, chunk, this.stage.clock.nowMs);
  }

  protected override connectionClosed(channel: number, reason: string): void {
    this.core.connectionClosed(channel, reason, this.stage.clock.nowMs);
  }

  protected override transmit(channel: number, roomBytes: number): Buffer[] {
    return this.core.transmit(channel, roomBytes, this.stage.clock.nowMs);
  }

  // ── what the core says ──────────────────────────────────────────────────────────────────────────────────────────

  #drainEvents(): void {
    const { core, stage } = this;
    for (let event = core.events.shift(); event !== undefined; event = core.events.shift()) {
      stage.count(`server ${event.type}`);
      this.#onEvent(event);
    }
    for (const [link, end] of this.ends) {
      for (let event = link.events.shift(); event !== undefined; event = link.events.shift()) {
        stage.count(`link ${event.type}`);
        this.#onLinkEvent(link, end, event);
      }
    }
  }

  #onEvent(event: ServerCoreEvent): void {
    const { stage, name } = this;
    switch (event.type) {
      case "authenticate":
        this.#authenticate(event.channel, event.credentials.toString());
        break;
      case "link":
        check(!stage.isForeign(event.channel), () => `${name}: a stranger was given a link`);
        this.#welcome(event.link);
        break;
      case "attached": {
        const before = this.#counters.get(event.link) ?? 0;
        const { counter } = event.link.owner;
        check(counter > before, () => `${name}: connection ${counter} took over from ${before}`);
        this.#counters.set(event.link, counter);
        if (stage.isForeign(event.channel)) stage.count("server attached a late connection");
        break;
      }
      case "changed":
        // All links are looked after in every step.
        break;
      case "refused":
        stage.note(`${name}: refused ${event.code} ${event.reason}`);
        stage.count(`server refused ${event.code}`);
        break;
      case "close-connection":
        if (event.fault !== undefined) {
          stage.note(`${name}: ${event.reason} ${event.fault.detail}`);
          const honest = !stage.isForeign(event.channel);
          check(!honest, () => `${name}: an honest client made a fault: ${event.reason} ${event.fault?.detail}`);
        }
        stage.count(`server closed ${event.reason}`);
        this.closeSocket(event.channel, event.last);
        break;
    }
  }

  #authenticate(channel: number, credentials: string): void {
    const { stage, core } = this;
    const identities = new Map([
      ["let me in", "alice"],
      ["I am Mallory", "mallory"],
    ]);
    const verdict: Verdict = stage.random() < 0.02 ? "unavailable" : { identity: identities.get(credentials) ?? null };
    const { authenticateMs } = stage.options;
    if (authenticateMs === 0) core.authenticated(channel, verdict, stage.clock.nowMs);
    else {
      this.later(authenticateMs * stage.random(), () => core.authenticated(channel, verdict, stage.clock.nowMs));
    }
  }

  #welcome(link: ServerLink): void {
    const { stage } = this;
    const { id } = link.session.keys;
    stage.note(`${this.name}: link ${id.slice(0, 4)}`);
    check(!stage.owners.has(id), () => `session ${id} was given to an application twice`);
    stage.owners.set(id, this.name);
    check(link.openPayload.toString() === "hello", () => "the open payload is wrong");
    const end = new End(this, link, stage.options.messages.server, stage.options.ends.server);
    this.ends.set(link, end);
    this.allEnds.push(end);
  }

  #onLinkEvent(link: ServerLink, end: End, event: LinkCoreEvent): void {
    const { stage, name } = this;
    switch (event.type) {
      case "connected":
        stage.note(`${name}: connected ${event.reason}`);
        stage.count(`link connected ${event.reason}`);
        break;
      case "disconnected":
        stage.note(`${name}: disconnected ${event.reason} ${event.fault?.detail ?? ""}`);
        // Memory is short, now and then: what no consumer has been handed is forgotten, and comes again.
        if (stage.random() < 0.3) {
          if (link.session.receiver.readableBytes > 0) stage.count("forgot");
          link.session.receiver.forget();
        }
        break;
      case "close-connection":
        if (event.fault !== undefined) {
          stage.note(`${name}: ${event.reason} ${event.fault.detail}`);
          const honest = event.fault.code !== "gap" && !stage.isForeign(event.channel);
          check(!honest, () => `${name}: an honest client made a fault: ${event.fault?.detail}`);
        }
        stage.count(`link closed ${event.reason}`);
        this.closeSocket(event.channel, event.last);
        break;
      case "ended":
        stage.note(`${name}: ended ${event.outcome} ${event.detail}`);
        stage.count(`link ended ${event.outcome}`);
        end.outcome = event.outcome;
        end.report(event.undelivered);
        break;
      case "gone":
        stage.note(`${name}: gone`);
        this.ends.delete(link);
        break;
      case "leaving":
        stage.note(`${name}: sends its client away`);
        break;
      case "attempt-failed":
      case "replaced":
      case "suspect":
      case "recovered":
        break;
    }
  }
}
