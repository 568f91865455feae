/** A client process: it dials with the product's backoff, gives up what hangs, and may be connected late all the same. */
import { Backoff } from "../../src/core/backoff.ts";
import { ClientCore, type DialRole } from "../../src/core/client.ts";
import type { LinkCoreEvent } from "../../src/core/link-events.ts";
import type { SimSocket } from "../../src/testing/network.ts";
import { End } from "./end.ts";
import { SimProcess } from "./process.ts";
import { seededEntropy } from "../../src/testing/random.ts";
import { addressOf, check, type Flight, type Stage } from "./stage.ts";

const DIAL_MS = 3_000;
const HANDSHAKE_MS = 3_000;
const OVERHEARD = 30;

export class SimClient extends SimProcess {
  readonly core: ClientCore;
  readonly end: End;
  /** Which server is dialled. */
  route = 0;
  /** A fault has sent it elsewhere. */
  rerouted = false;
  readonly #backoff: Backoff = new Backoff({ minDelayMs: 100, maxDelayMs: 2_000, resetAfterMs: 10_000 }, 0);
  readonly #flights = new Map<number, Flight>();
  /** The attempts under way, from the decision to dial to a connection. */
  #dialling: object | undefined;
  #diallingStandby: object | undefined;
  #retryAfterMs = 0;
  /** The connection that the product's dial loop would wait for, from its HELLO until it hears of it. */
  #awaited: number | undefined;

  constructor(stage: Stage) {
    super(stage, "client");
    this.core = new ClientCore(stage.coreOptions("client"), seededEntropy(stage.random));
    const { messages, ends } = stage.options;
    this.end = new End(this, this.core, messages.client, ends.client);
    this.later(0, () => {});
  }

  /** As retryNow(): the network is known to be back. */
  retryNow(): void {
    this.#dialling = undefined;
    this.#backoff.restart(this.stage.clock.nowMs);
    this.pump();
  }

  protected override step(): void {
    this.end.run();
    this.#drainEvents();
    this.core.endTurn();
    this.transmitAll();
    this.#drainEvents();
    const isHeardOf = this.#awaited === undefined || this.sockets.has(this.#awaited);
    check(isHeardOf, () => "client: an attempt is over, and nobody was told");
    this.#dial();
  }

  protected override get nextTimeoutMs(): number {
    return this.core.nextTimeoutMs;
  }

  protected override tick(): void {
    this.core.tick(this.stage.clock.nowMs);
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
    const { stage } = this;
    const { nowMs } = stage.clock;
    if (event.type === "gone" || ("channel" in event && event.type !== "close-connection")) {
      if (event.type === "gone" || event.channel === this.#awaited) this.#awaited = undefined;
    }
    switch (event.type) {
      case "connected":
        stage.note(`client: connected ${event.session} ${event.reason}`);
        stage.count(`client connected ${event.session} ${event.reason}`);
        check(this.sockets.has(event.channel), () => "client: adopted a connection that it has closed");
        if (event.session === "new") this.end.expected = 0;
        this.#backoff.onConnected(nowMs);
        if (!this.rerouted) this.route = Number(this.#flights.get(event.channel)?.address.split("-")[1]);
        break;
      case "disconnected":
        stage.note(`client: disconnected ${event.reason} ${event.fault?.detail ?? ""}`);
        stage.count(`client disconnected ${event.fault?.code ?? "without a fault"}`);
        this.#backoff.onLost(nowMs);
        break;
      case "attempt-failed":
        stage.note(`client: attempt failed ${event.reason} ${event.fault?.detail ?? ""}`);
        stage.count(`client attempt-failed ${event.reason}`);
        this.#backoff.onFailed();
        this.#retryAfterMs = event.retryAfterMs;
        break;
      case "close-connection":
        if (event.fault !== undefined) {
          // Between two honest ends no fault of the protocol ever occurs, but for a gap after bytes were swallowed.
          const honest = event.fault.code !== "gap" && !stage.isForeign(event.channel);
          check(!honest, () => `client: an honest server made a fault: ${event.fault?.detail}`);
        }
        this.closeSocket(event.channel, event.last);
        break;
      case "replaced":
        stage.note(`client: session replaced, ${event.reason}, ${event.undelivered.length} reported`);
        stage.count(`client replaced ${event.reason}`);
        this.end.report(event.undelivered);
        // A server that goes away opens no session: the next one does.
        if (event.reason === "moved" && !this.rerouted) this.route = (this.route + 1) % stage.options.servers;
        break;
      case "ended":
        stage.note(`client: ended ${event.outcome} ${event.detail}`);
        stage.count(`client ended ${event.outcome}`);
        this.end.outcome = event.outcome;
        this.end.report(event.undelivered);
        break;
      case "suspect":
      case "leaving":
      case "recovered":
      case "gone":
        stage.note(`client: ${event.type}`);
        break;
    }
  }

  // ── dialling ────────────────────────────────────────────────────────────────────────────────────────────────────

  #dial(): void {
    const { core, stage } = this;
    if (core.wantsDial && this.#dialling === undefined) {
      const attempt = {};
      this.#dialling = attempt;
      const delayMs = this.#backoff.delayMs(this.#retryAfterMs, stage.clock.nowMs, stage.random());
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
      this.#dialNow("standby", over, () => core.standbyDialFailed(false, stage.clock.nowMs));
      this.later(core.standbyPatienceMs, () => {
        if (over()) core.standbyDialFailed(true, stage.clock.nowMs);
      });
    }
  }

  /** A dial that was given up may succeed all the same: the core is told, or not. */
  #dialNow(role: DialRole, over: () => boolean, onRefused: () => void): void {
    const { stage } = this;
    stage.count(`dial ${role}`);
    stage.network.dial(
      addressOf(this.route),
      (socket) => {
        const channel = this.addSocket(socket);
        this.input(() => {
          const late = !over();
          if (late) stage.count(`dial ${role} late`);
          if (!this.sockets.has(channel)) return;
          if (late && stage.random() < 0.5) this.closeSocket(channel, undefined);
          else this.#opened(channel, role);
        });
      },
      () =>
        this.input(() => {
          if (over()) onRefused();
        }),
    );
  }

  #opened(channel: number, role: DialRole): void {
    const { stage, core } = this;
    const flight: Flight = { address: addressOf(this.route), bytes: [] };
    this.#flights.set(channel, flight);
    stage.overheard.push(flight);
    if (stage.overheard.length > OVERHEARD) stage.overheard.shift();
    // One that comes late replaces another, which the product's loop would not have dialled.
    if (role === "primary") this.#awaited = core.wantsDial ? channel : undefined;
    core.connectionOpened(channel, role, Buffer.from("let me in"), stage.clock.nowMs);
    const patienceMs = role === "standby" ? core.standbyPatienceMs : HANDSHAKE_MS;
    this.later(patienceMs, () => {
      if (role === "standby") return core.standbyTimedOut(channel, stage.clock.nowMs);
      if (!this.sockets.has(channel) || core.adopted?.id === channel) return;
      this.closeSocket(channel, undefined);
      core.connectionClosed(channel, "handshake timed out", stage.clock.nowMs);
    });
  }
}
