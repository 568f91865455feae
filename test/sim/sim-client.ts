/** A client process: it dials with the product's backoff, gives up what hangs, and may be connected late all the same. */
import { Backoff } from "../../src/core/backoff.ts";
import { ClientLinkCore, type DialRole } from "../../src/core/client/link-core.ts";
import type { LinkCoreEvent } from "../../src/core/session/link-events.ts";
import type { SimSocket, Wire } from "../../src/testing/network.ts";
import { End } from "./end.ts";
import { watchPhase } from "./life.ts";
import { SimProcess } from "./process.ts";
import { seededEntropy } from "../../src/testing/random.ts";
import { addressOf, check, type Flight, REFUSED_BECAUSE, type Stage } from "./stage.ts";

/** What a client says of itself to be let in. */
export function credentialsOf(client: number): string {
  return `I am client-${client}`;
}

const DELAYS = { minDelayMs: 100, maxDelayMs: 2_000, resetAfterMs: 10_000 };
const DIAL_MS = 3_000;
const HANDSHAKE_MS = 3_000;
const NOT_AWAY = { fromMs: -Infinity, toMs: -Infinity };
const OVERHEARD = 30;

export class SimClient extends SimProcess {
  readonly number: number;
  readonly core: ClientLinkCore;
  readonly end: End;
  /** Which server is dialled. */
  route: number;
  /** A fault has sent it elsewhere. */
  rerouted = false;
  /** Its connection in use is suspect. */
  suspects = false;
  readonly #links: readonly ClientLinkCore[];
  readonly #backoff: Backoff = new Backoff(DELAYS, 0);
  readonly #flights = new Map<number, Flight>();
  /** The attempts under way, from the decision to dial to a connection. */
  #dialling: object | undefined;
  #diallingStandby: object | undefined;
  #retryAfterMs = 0;
  /** Its server wants it to dial no sooner, and it wants to dial no later. */
  #away = NOT_AWAY;
  /** The connection that the product's dial loop would wait for, from its HELLO until it hears of it. */
  #awaited: number | undefined;

  constructor(stage: Stage, number: number) {
    super(stage, `client-${number}`);
    this.number = number;
    this.route = this.homeRoute;
    this.core = new ClientLinkCore(stage.coreOptions(number), seededEntropy(this.random));
    this.#links = [this.core];
    this.end = new End(this, this.core, number, "client");
    this.later(0, () => {});
  }

  override checkBounds(): void {
    this.end.checkBounds();
  }

  override links(): readonly ClientLinkCore[] {
    return this.#links;
  }

  get homeRoute(): number {
    return this.number % this.stage.options.servers;
  }

  get wireInUse(): Wire | undefined {
    const { adopted } = this.core;
    return adopted === undefined ? undefined : this.sockets.get(adopted.id)?.wire;
  }

  /** As retryNow(): the network is known to be back. */
  retryNow(): void {
    this.#dialling = undefined;
    this.#backoff.restart(this.nowMs);
    this.#away = NOT_AWAY;
    this.pump();
  }

  /** As close() of a link: without anybody at the other end it is over at once, else everything is sent first. */
  close(): void {
    this.end.life.to("drain");
    if (this.end.backlog?.isEmpty === false) {
      this.end.endsWhenEmpty = true;
    } else {
      if (this.core.endUnopened()) return;
      this.core.end();
    }
    this.core.stopReading();
    this.end.reads = false;
    this.retryNow();
  }

  /** Somebody dials once more, whatever is under way. */
  dialAlso(role: DialRole, afterMs: number): void {
    this.later(afterMs, () => {
      if (!this.core.gone)
        this.#dialNow(
          role,
          () => false,
          () => {},
        );
    });
  }

  protected override step(): void {
    watchPhase(this.stage, this.core.session);
    this.end.run();
    this.#drainEvents();
    this.core.endTurn();
    this.transmitAll();
    this.#drainEvents();
    const isHeardOf = this.#awaited === undefined || this.sockets.has(this.#awaited);
    check(isHeardOf, () => `${this.name}: an attempt is over, and nobody was told`);
    this.#dial();
  }

  protected override get nextTimeoutMs(): number {
    return this.core.nextTimeoutMs;
  }

  protected override tick(): void {
    this.core.tick(this.nowMs);
  }

  protected override receive(channel: number, chunk: Buffer): void {
    this.core.receive(channel, chunk, this.nowMs);
  }

  protected override connectionClosed(channel: number, reason: string): void {
    this.core.connectionClosed(channel, reason, this.nowMs);
  }

  protected override endOf(channel: number): End | undefined {
    return this.core.adopted?.id === channel ? this.end : undefined;
  }

  protected override transmit(channel: number, roomBytes: number): Buffer[] {
    return this.core.transmit(channel, roomBytes, this.nowMs);
  }

  protected override write(channel: number, socket: SimSocket, bytes: Buffer): void {
    this.#flights.get(channel)?.bytes.push(bytes);
    super.write(channel, socket, bytes);
  }

  // ── what the core says ──────────────────────────────────────────────────────────────────────────────────────────

  #drainEvents(): void {
    for (let event = this.core.events.shift(); event !== undefined; event = this.core.events.shift()) {
      this.stage.count(`client ${event.type}`);
      this.#onEvent(event);
    }
  }

  #onEvent(event: LinkCoreEvent): void {
    const { stage, name, nowMs, end } = this;
    if (event.type === "gone" || ("channel" in event && event.type !== "close-connection")) {
      if (event.type === "gone" || event.channel === this.#awaited) this.#awaited = undefined;
    }
    switch (event.type) {
      case "connected":
        stage.note(`${name}: connected ${event.session} ${event.reason}`);
        stage.count(`client connected ${event.session} ${event.reason}`);
        check(this.sockets.has(event.channel), () => `${name}: adopted a connection that it has closed`);
        if (event.session === "new") end.expected = 0;
        this.suspects = false;
        end.life.to("adopted");
        this.#backoff.onConnected(nowMs);
        this.#away = NOT_AWAY;
        if (!this.rerouted) this.route = Number(this.#flights.get(event.channel)?.address.split("-")[1]);
        break;
      case "disconnected":
        stage.note(`${name}: disconnected ${event.reason} ${event.fault?.detail ?? ""}`);
        stage.count(`client disconnected ${event.fault?.code ?? "without a fault"}`);
        this.#backoff.onLost(nowMs);
        end.life.to("disconnected");
        break;
      case "attempt-failed":
        stage.note(`${name}: attempt failed ${event.reason} ${event.fault?.detail ?? ""}`);
        stage.count(`client attempt-failed ${event.reason}`);
        this.#backoff.onFailed();
        this.#retryAfterMs = event.retryAfterMs;
        if (event.refused === "draining" && !this.core.sessionKnown) this.#goOn();
        end.life.to("disconnected");
        break;
      case "close-connection":
        stage.countClosed("client", event.reason);
        if (event.fault !== undefined) {
          // Between two honest ends no fault of the protocol ever occurs.
          const honest = stage.isHonest(event.channel);
          check(!honest, () => `${name}: an honest server made a fault: ${event.fault?.detail}`);
        }
        this.closeSocket(event.channel, event.last);
        break;
      case "replaced":
        stage.note(`${name}: session replaced, ${event.reason}, ${event.undelivered.length} reported`);
        stage.count(`client replaced ${event.reason}`);
        stage.hasCarried = true;
        end.report(event);
        if (end.reads) end.life.to("moved");
        if (event.reason === "moved") this.#goOn();
        break;
      case "ended":
        stage.note(`${name}: ended ${event.outcome} ${event.detail}`);
        stage.count(`client ended ${event.outcome}`);
        if (event.outcome === "authentication-refused" && event.peerCode !== "") {
          check(event.peerCode === REFUSED_BECAUSE, () => `${name}: refused because ${event.peerCode}`);
          stage.count("client was told why it is refused");
        }
        end.report(event, event.outcome);
        end.life.to("end");
        break;
      case "shed": {
        const { retryAfterMs } = event;
        stage.note(`${name}: shed for ${retryAfterMs} ms`);
        check(this.core.adopted === undefined, () => `${name}: was shed, and has a connection`);
        this.#backoff.onShed(retryAfterMs, nowMs, this.random());
        this.#away = { fromMs: nowMs + retryAfterMs, toMs: nowMs + 1.1 * retryAfterMs };
        break;
      }
      case "suspect":
        stage.note(`${name}: suspect`);
        this.suspects = true;
        end.life.to("suspected");
        break;
      case "recovered":
        stage.note(`${name}: recovered`);
        this.suspects = false;
        end.life.to("recovered");
        break;
      case "leaving":
        stage.note(`${name}: leaving`);
        if (event.isLast === true) end.endsWhenEmpty = true;
        end.life.to("drain");
        break;
      case "gone":
        stage.note(`${name}: gone`);
        break;
    }
  }

  /** A server that goes away opens no session: the next one does. */
  #goOn(): void {
    if (!this.rerouted) this.route = (this.route + 1) % this.stage.options.servers;
  }

  // ── dialling ────────────────────────────────────────────────────────────────────────────────────────────────────

  #dial(): void {
    const { core } = this;
    if (core.wantsDial && this.#dialling === undefined) {
      const attempt = {};
      this.#dialling = attempt;
      const askedMs = this.#retryAfterMs;
      const delayMs = this.#backoff.delayMs(askedMs, this.nowMs, this.random());
      const leastMs = askedMs > 0 ? DELAYS.minDelayMs : 0;
      const [fromMs, toMs] = [this.#away.fromMs - this.nowMs, this.#away.toMs - this.nowMs];
      const isOwn = delayMs >= Math.max(leastMs, fromMs) && delayMs <= Math.max(DELAYS.maxDelayMs, toMs);
      check(isOwn, () => `${this.name}: asked for ${askedMs} ms, or ${fromMs} ms, it waits for ${delayMs} ms`);
      this.#retryAfterMs = 0;
      this.later(delayMs, () => {
        if (this.#dialling !== attempt) return;
        const over = (): boolean => {
          if (this.#dialling !== attempt) return false;
          this.#dialling = undefined;
          return true;
        };
        this.#dialNow("primary", over, () => this.#backoff.onFailed());
        this.later(DIAL_MS, () => {
          if (over()) this.#backoff.onFailed();
        });
      });
    }
    if (core.wantsStandby && this.#diallingStandby === undefined) {
      const attempt = {};
      this.#diallingStandby = attempt;
      const over = (): boolean => {
        if (this.#diallingStandby !== attempt) return false;
        this.#diallingStandby = undefined;
        return true;
      };
      this.#dialNow("standby", over, () => core.standbyDialFailed(this.nowMs, { timedOut: false }));
      this.later(core.standbyPatienceMs, () => {
        if (over()) core.standbyDialFailed(this.nowMs, { timedOut: true });
      });
    }
  }

  /** A balancer knows nothing of sessions. */
  get #dialled(): number {
    const { forward, servers } = this.stage.options;
    return forward.isOn && !this.rerouted ? Math.floor(servers * this.random()) : this.route;
  }

  /**
   * A dial that was given up may succeed all the same: the core is told, or not. It is not told of one that has come to
   * a server that the client has left meanwhile.
   */
  #dialNow(role: DialRole, over: () => boolean, onRefused: () => void): void {
    const { stage, route } = this;
    const address = addressOf(this.#dialled);
    stage.count(`dial ${role}`);
    this.end.life.to("dial");
    stage.network.dial(
      address,
      (socket) => {
        const channel = this.addSocket(socket);
        this.input(() => {
          const late = !over();
          if (late) stage.count(`dial ${role} late`);
          if (!this.sockets.has(channel)) return;
          if (late && (route !== this.route || this.random() < 0.5)) this.closeSocket(channel, undefined);
          else this.#opened(channel, role, address);
        });
      },
      () =>
        this.input(() => {
          if (over()) onRefused();
        }),
      this.name,
    );
  }

  #opened(channel: number, role: DialRole, address: string): void {
    const { stage, core } = this;
    const flight: Flight = { address, bytes: [] };
    this.#flights.set(channel, flight);
    stage.overheard.push(flight);
    if (stage.overheard.length > OVERHEARD) stage.overheard.shift();
    // One that comes late replaces another, which the product's loop would not have dialled.
    if (role === "primary") this.#awaited = core.wantsDial ? channel : undefined;
    core.connectionOpened(channel, role, Buffer.from(credentialsOf(this.number)), this.nowMs);
    const patienceMs = role === "standby" ? core.standbyPatienceMs : HANDSHAKE_MS;
    this.later(patienceMs, () => {
      if (role === "standby") return core.standbyTimedOut(channel, this.nowMs);
      if (!this.sockets.has(channel) || core.adopted?.id === channel) return;
      this.closeSocket(channel, undefined);
      core.connectionClosed(channel, "handshake timed out", this.nowMs);
    });
  }
}
