/** A server process: its core, its connections, and an application for each link. */
import { Admission } from "../../src/core/server/admission.ts";
import { MOST_RETRY_MS } from "../../src/core/server/come-back-times.ts";
import { sparePlaces } from "../../src/core/server/entrance.ts";
import { quarterOf } from "../../src/core/server/handshake-table.ts";
import type { RefuseCode } from "../../src/core/wire/frames.ts";
import type { LinkCoreEvent } from "../../src/core/session/link-events.ts";
import { compareOwners, type Owner } from "../../src/core/session/proof.ts";
import {
  type AuthenticateEvent,
  type CheckedVerdict,
  ServerCore,
  type ServerCoreEvent,
  type ServerCoreOptions,
} from "../../src/core/server/server.ts";
import type { ServerLinkCore } from "../../src/core/server/link-core.ts";
import type { SimSocket } from "../../src/testing/network.ts";
import { End } from "./end.ts";
import { watchPhase } from "./life.ts";
import { SimProcess } from "./process.ts";
import { ENOUGH, type Room } from "./room.ts";
import { SimForwarding } from "./sim-forwarding.ts";
import { SimRelief } from "./sim-relief.ts";
import { seededEntropy } from "../../src/testing/random.ts";
import { check, clientOf, REFUSED_BECAUSE, type Stage, violated } from "./stage.ts";
import type { SimStore } from "./store.ts";
import { StoreClient } from "./store-client.ts";

const FOR_EVER_MS = 3_600_000;

export class SimServer extends SimProcess {
  isUp = false;
  core!: ServerCore;
  readonly ends = new Map<ServerLinkCore, End>();
  /** The ends of this and every earlier life of the server. */
  readonly allEnds: End[] = [];
  /** It goes away as soon as its sessions are through. */
  leaves = false;
  drains = false;
  /** Whose connection each link adopted last. */
  readonly #owners = new Map<ServerLinkCore, Owner>();
  readonly #store: StoreClient;
  readonly forwarding: SimForwarding = new SimForwarding(this);
  readonly relief: SimRelief = new SimRelief(this);
  #lives = 0;
  /** Of its core, which heeds what is changed in them. */
  #options!: ServerCoreOptions;
  /** Calls of the application's function. */
  #authenticating = 0;
  /** What was said of each connection was said of that open payload. */
  readonly #letInFor = new Map<number, Buffer>();
  #onceDone: Array<() => void> = [];
  #overloaded: { untilMs: number; retryAfterMs: number } = { untilMs: 0, retryAfterMs: 0 };

  /** `shared`: with other servers. */
  constructor(stage: Stage, address: string, shared: SimStore | undefined) {
    super(stage, address);
    this.#store = new StoreClient(this, shared);
    this.start();
  }

  start(): void {
    const { options } = this.stage;
    const { perSecond } = options.room;
    const ofLinks = { opensPerSecond: perSecond, resumesPerSecond: perSecond, standbysPerSecond: perSecond };
    const admission = new Admission({ acceptsPerSecond: 4 * perSecond, ...ofLinks }, this.random);
    this.#authenticating = 0;
    const serverId = this.#newId();
    const coreOptions: ServerCoreOptions = {
      ...this.stage.coreOptions(),
      resumeForMs: options.resumeForMs,
      handshakeMs: options.handshakeMs,
      ...(this.stage.healed ? ENOUGH : this.#room),
      hasOutbox: options.commitMs > 0,
      hasStore: options.commitMs > 0,
      sharesStore: this.#store.isShared,
      forwards: options.forward.isOn,
      serverId,
      admission: {
        accept: (peer, nowMs) => admission.accept(peer, nowMs),
        open: (who, nowMs) => this.#turnAway() || admission.open(who, nowMs),
        comeBack: (kind, who, comings, leftMs, mayHurry, nowMs) =>
          this.#turnAway() || admission.comeBack(kind, who, comings, leftMs, mayHurry, nowMs),
      },
    };
    this.#options = coreOptions;
    this.core = new ServerCore(coreOptions, seededEntropy(this.random));
    this.isUp = true;
    this.leaves = false;
    this.drains = false;
    this.#store.start();
    this.listen();
    this.forwarding.start(serverId, (socket) => this.#accepted(socket, true));
    // There are sessions to be waited for.
    this.pump();
  }

  listen(): void {
    if (this.isUp) this.stage.network.listen(this.name, (socket) => this.#accepted(socket, false));
  }

  /** Another one in each life. */
  #newId(): string {
    this.#lives++;
    return Buffer.from(this.name.slice(-1).padStart(2, "0") + `${this.#lives}`.padStart(4, "0")).toString("hex");
  }

  /** Something else has the socket from now on. */
  release(channel: number): void {
    this.sockets.delete(channel);
  }

  /** Nobody has taken it away. */
  owns(link: ServerLinkCore): boolean {
    return this.#store.owns(link);
  }

  /** In an admission of its own, besides the server's. */
  #turnAway(): number {
    const { untilMs, retryAfterMs } = this.#overloaded;
    if (this.stage.clock.nowMs < untilMs) return retryAfterMs;
    return this.random() < this.stage.options.shares.overloaded ? 50 : 0;
  }

  overload(forMs: number, retryAfterMs: number): void {
    this.#overloaded = { untilMs: this.stage.clock.nowMs + forMs, retryAfterMs };
  }

  /** As soon as it has a session that is through. */
  onceDone(then: () => void): void {
    this.#onceDone.push(then);
    this.pump();
  }

  kill(): void {
    this.isUp = false;
    this.stage.network.unlisten(this.name);
    this.die();
    this.forwarding.die();
    this.#store.die();
    for (const { session, openPayload } of this.core.links()) {
      if (session.phase === "provisional") this.stage.unstored.add(clientOf(openPayload));
    }
    // What it held is given back; what its application was doing nobody hears of.
    for (const link of this.core.links()) link.session.release();
    this.ends.clear();
    this.#overloaded = { untilMs: 0, retryAfterMs: 0 };
    this.relief.end();
    this.stage.note(`${this.name}: killed`);
  }

  /** It goes away: its clients are asked to go on elsewhere, each at a moment of its own. */
  drain(forMs: number, spreadMs: number): void {
    const { core, stage } = this;
    this.drains = true;
    core.drain(forMs, this.nowMs);
    for (const link of core.links()) {
      const connection = link.adopted;
      stage.clock.schedule(spreadMs * this.random(), () => {
        if (this.core !== core || !this.isUp) return;
        const { adopted } = link;
        const isBack = adopted !== undefined && adopted !== connection;
        if (isBack) stage.count("server sent a client elsewhere that had come back meanwhile");
        core.sendElsewhere(link, this.nowMs);
        this.pump();
      });
    }
    this.pump();
  }

  /** Closes the connection. */
  lose(channel: number, reason: string): void {
    this.closeSocket(channel, undefined);
    this.core.connectionClosed(channel, reason, this.nowMs);
  }

  /** It goes away as `drain()` says, has all the time it needs, and another is started in its place. */
  leave(spreadMs: number): boolean {
    if (!this.isUp || this.leaves) return false;
    this.leaves = true;
    this.drain(FOR_EVER_MS, spreadMs);
    this.#lookIfThrough();
    return true;
  }

  get #room(): Room {
    const { room, sharesStore } = this.stage.options;
    // What is in the store of all comes here when its client does, whether there is room or not.
    const most = sharesStore ? ENOUGH : { maxSessions: room.sessions, maxSessionsPerIdentity: room.perIdentity };
    return {
      ...ENOUGH,
      ...most,
      maxConnections: room.connections,
      maxConnectionsPerAddress: room.perAddress,
      maxHandshakes: room.handshakes,
      maxAuthenticating: room.authenticating,
    };
  }

  /** There is room for everybody. */
  enlarge(): void {
    Object.assign(this.#options, ENOUGH);
    this.relief.end();
  }

  override checkBounds(): void {
    for (const end of this.ends.values()) end.checkBounds();
    const { core, name } = this;
    const { maxConnections, maxHandshakes, maxAuthenticating, maxSessions, maxSessionsPerIdentity } = this.#options;
    const connections = core.handshakes + core.attached + core.forwarding;
    const mostConnections = maxConnections + sparePlaces(maxConnections);
    const calls = this.#authenticating;
    if (connections > mostConnections) violated(`${name}: ${connections} connections`);
    if (core.handshakes > maxHandshakes) violated(`${name}: ${core.handshakes} handshakes`);
    if (calls > maxAuthenticating) violated(`${name}: ${calls} calls of authenticate()`);
    if (core.unconfirmed > quarterOf(this.#options)) violated(`${name}: ${core.unconfirmed} sessions unconfirmed`);
    if (core.sessions > maxSessions) violated(`${name}: ${core.sessions} sessions`);
    if (core.sessions <= maxSessionsPerIdentity) return;
    const perIdentity = new Map<string, number>();
    for (const { identity } of core.links()) perIdentity.set(identity, (perIdentity.get(identity) ?? 0) + 1);
    for (const [identity, sessions] of perIdentity) {
      if (sessions > maxSessionsPerIdentity) violated(`${name}: ${sessions} sessions of ${identity}`);
    }
  }

  override links(): Iterable<ServerLinkCore> {
    return this.isUp ? this.core.links() : [];
  }

  #lookIfThrough(): void {
    const life = this.core;
    this.stage.clock.schedule(200, () => {
      if (this.core !== life || !this.isUp) return;
      if (this.stage.healed) this.#forgetOrphans();
      if (this.core.sessions > 0) return this.#lookIfThrough();
      this.stage.count("server left");
      this.kill();
      this.start();
    });
  }

  /** Their clients have given up, or are elsewhere: they would wait until their time is over. */
  #forgetOrphans(): void {
    for (const link of this.ends.keys()) {
      // Where others can go on with it, it is let go: they may be waiting for us to take theirs.
      const isFree = this.#store.isShared && link.adopted === undefined;
      if (!this.owns(link) || isFree) this.#store.fence(link);
      else if (!this.stage.isAwaited(link.session.keys.id)) link.abandon("expired");
    }
    this.pump();
  }

  #accepted(socket: SimSocket, isForwarded: boolean): void {
    const channel = this.addSocket(socket);
    this.input(() => {
      if (this.sockets.has(channel)) this.core.connectionOpened(channel, socket.wire.from, this.nowMs, isForwarded);
    });
  }

  protected override step(): void {
    if (!this.isUp) return;
    for (const { session } of this.core.links()) watchPhase(this.stage, session);
    this.#drainEvents();
    for (const end of this.ends.values()) end.run();
    this.#drainEvents();
    this.#store.look();
    for (const link of this.ends.keys()) link.endTurn();
    this.transmitAll();
    this.#drainEvents();
    if (this.#onceDone.length > 0 && this.#hasOneDone()) {
      for (const then of this.#onceDone.splice(0)) this.stage.clock.schedule(0, then);
    }
  }

  #hasOneDone(): boolean {
    for (const { session } of this.core.links())
      if (session.phase === "done" && session.receiver.endAccepted) return true;
    return false;
  }

  protected override get nextTimeoutMs(): number {
    let dueMs = this.isUp ? this.core.nextTimeoutMs : Infinity;
    for (const link of this.ends.keys()) dueMs = Math.min(dueMs, link.nextTimeoutMs);
    return dueMs;
  }

  protected override tick(): void {
    const { nowMs } = this;
    this.core.tick(nowMs);
    for (const link of this.ends.keys()) link.tick(nowMs);
  }

  protected override receive(channel: number, chunk: Buffer): void {
    this.core.receive(channel, chunk, this.nowMs);
  }

  protected override connectionClosed(channel: number, reason: string): void {
    this.core.connectionClosed(channel, reason, this.nowMs);
  }

  protected override endOf(channel: number): End | undefined {
    for (const [link, end] of this.ends) if (link.adopted?.id === channel) return end;
    return undefined;
  }

  protected override transmit(channel: number, roomBytes: number): Buffer[] {
    return this.core.transmit(channel, roomBytes, this.nowMs);
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
        this.#authenticate(event);
        break;
      case "adopt":
        this.#store.adopt(event, this.#letInFor.get(event.channel));
        break;
      case "elsewhere": {
        const socket = this.sockets.get(event.channel);
        if (socket !== undefined) this.forwarding.forward(event, socket);
        break;
      }
      case "restored":
        this.#store.onRestored(event.link);
        break;
      case "link":
        check(!stage.isForeign(event.channel), () => `${name}: a stranger was given a link`);
        this.#welcome(event.link);
        break;
      case "attached": {
        const before = this.#owners.get(event.link);
        const { owner } = event.link;
        const isNewer = before === undefined || compareOwners(owner, before) === "newer";
        check(isNewer, () => `${name}: connection ${owner.counter} took over from ${before?.counter}`);
        this.#owners.set(event.link, owner);
        const leftMs = this.relief.awayForMs(event.link);
        check(leftMs <= 0 || this.drains, () => `${name}: let in ${leftMs} ms before its time`);
        const letInFor = this.#letInFor.get(event.channel);
        check(letInFor?.equals(event.link.openPayload) === true, () => `${name}: let in for ${String(letInFor)}`);
        if (stage.isForeign(event.channel)) stage.count("server attached a late connection");
        break;
      }
      case "gave-way":
        stage.gaveWay.add(clientOf(event.link.openPayload));
        break;
      case "changed":
        // All links are looked after in every step.
        break;
      case "refused":
        this.#checkRetry(event.code, event.retryAfterMs);
        stage.note(`${name}: refused ${event.code} ${event.reason}`);
        stage.count(`server refused ${event.code}`);
        if (event.reason === "shed") stage.count("server refused a client that was shed");
        break;
      case "close-connection":
        if (event.fault !== undefined) {
          stage.note(`${name}: ${event.reason} ${event.fault.detail}`);
          const honest = stage.isHonest(event.channel);
          check(!honest, () => `${name}: an honest client made a fault: ${event.reason} ${event.fault?.detail}`);
        }
        stage.countClosed("server", event.reason);
        if (event.limit !== undefined) stage.count(`turned away by ${event.limit}`);
        this.closeSocket(event.channel, event.last);
        break;
    }
  }

  #authenticate({ channel, credentials, openPayload, proven, link }: AuthenticateEvent): void {
    const { stage, core, name } = this;
    check(proven === (link !== undefined), () => `${name}: a session that is not proven`);
    const isWelcome = link === undefined || !stage.isTrespassing(channel);
    check(isWelcome, () => `${name}: asked whether a trespasser may have a session`);
    this.#letInFor.set(channel, openPayload);
    const { authenticateMs, shares } = stage.options;
    const isHard = this.random() < shares.unavailable;
    const verdict = isHard ? "unavailable" : this.#verdictOn(credentials.toString());
    this.#authenticating++;
    const answer = (): void => {
      this.#authenticating--;
      core.authenticated(channel, verdict, this.nowMs);
    };
    if (authenticateMs === 0) answer();
    else this.later(authenticateMs * this.random(), answer);
  }

  #verdictOn(credentials: string): CheckedVerdict {
    const [, name, number] = /^I am (client-(\d+)|mallory)$/.exec(credentials) ?? [];
    const special = number === undefined ? undefined : this.stage.verdicts.get(Number(number));
    if (special === "unavailable") return "unavailable";
    if (special === "refused" || name === undefined) return { refused: REFUSED_BECAUSE };
    return { identity: special === "another" ? `once ${name}` : name, claims: undefined };
  }

  /** A client that may come back is told when, and not too late. */
  #checkRetry(code: RefuseCode, retryAfterMs: number): void {
    const isForLater = code === "overloaded" || code === "draining" || code === "authentication-unavailable";
    const mostMs = Math.max(MOST_RETRY_MS, this.#overloaded.retryAfterMs);
    const isInTime = isForLater ? retryAfterMs > 0 && retryAfterMs <= mostMs : retryAfterMs === 0;
    check(isInTime, () => `${this.name}: ${code}, and to come back after ${retryAfterMs} ms`);
  }

  #welcome(link: ServerLinkCore): void {
    const { stage } = this;
    const { id } = link.session.keys;
    stage.note(`${this.name}: link ${id.slice(0, 4)}`);
    check(!stage.owners.has(id), () => `session ${id} was given to an application twice`);
    stage.owners.set(id, this.name);
    const client = clientOf(link.openPayload);
    check(client >= 0, () => "the open payload is wrong");
    const end = new End(this, link, client, "server");
    this.ends.set(link, end);
    this.allEnds.push(end);
    if (stage.options.commitMs > 0) this.#store.hold(link, end);
  }

  #onLinkEvent(link: ServerLinkCore, end: End, event: LinkCoreEvent): void {
    const { stage, name } = this;
    switch (event.type) {
      case "connected":
        stage.note(`${name}: connected ${event.reason}`);
        stage.count(`link connected ${event.reason}`);
        end.life.to("adopted");
        break;
      case "disconnected":
        stage.note(`${name}: disconnected ${event.reason} ${event.fault?.detail ?? ""}`);
        // Memory is short, now and then: what no consumer has been handed is forgotten, and comes again.
        end.life.to("disconnected");
        if (this.random() < stage.options.shares.forgetful) {
          if (link.session.receiver.readableBytes > 0) stage.count("forgot");
          link.session.receiver.forget();
        }
        break;
      case "close-connection":
        if (event.fault !== undefined) {
          stage.note(`${name}: ${event.reason} ${event.fault.detail}`);
          const honest = stage.isHonest(event.channel);
          check(!honest, () => `${name}: an honest client made a fault: ${event.fault?.detail}`);
        }
        stage.countClosed("link", event.reason);
        this.closeSocket(event.channel, event.last);
        break;
      case "ended":
        stage.note(`${name}: ended ${event.outcome} ${event.detail}`);
        stage.count(`link ended ${event.outcome}`);
        // A tombstone that was restored has told its application in an earlier life.
        if (end.outcome !== undefined) break;
        end.report(event, event.outcome);
        end.life.to("end");
        break;
      case "gone":
        stage.note(`${name}: gone`);
        this.ends.delete(link);
        this.#store.onGone(link);
        break;
      case "leaving":
        stage.note(`${name}: sends its client away`);
        end.life.to("drain");
        break;
      case "suspect":
        stage.note(`${name}: suspects its client`);
        end.life.to("suspected");
        break;
      case "recovered":
        stage.note(`${name}: its client has answered`);
        end.life.to("recovered");
        break;
      case "attempt-failed":
      case "replaced":
      case "shed":
        break;
    }
  }
}
