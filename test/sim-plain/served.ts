/** The product's own server at work on one connection: its core, its driver, and a handler that reads and answers. */
import { BlockPool } from "../../src/core/log/blocks.ts";
import { CLOSED_BY_PEER } from "../../src/core/session/link-events.ts";
import { Driver } from "../../src/link/driver.ts";
import type { ConnectionHandler } from "../../src/link/ports.ts";
import type { ProtocolEvent } from "../../src/link/protocol.ts";
import { ServedPlainCore } from "../../src/plain/served-core.ts";
import type { EventClock } from "../../src/testing/clock.ts";
import type { SimSocket, Wire } from "../../src/testing/network.ts";
import { SimConnection } from "../../src/testing/sim-connection.ts";
import { CountingBudget } from "../core/support.ts";
import { LINES, plainOptions } from "../plain/support.ts";
import type { WorldOptions } from "./draw.ts";
import { check, Violation } from "./ledger.ts";
import type { Listener, Speaker } from "./speaker.ts";
import { SleepyClock } from "./sleepy.ts";

const ID = 1;
const READ_EVERY_MS = 20;
/** A client that has closed its socket is heard to end, and a reset follows. */
const RESET_WITHIN_MS = 30;

/** A client of the simulation never goes on after it has ended its direction. */
class ClosedBehindEnd extends SimConnection {
  readonly #clock: EventClock;
  /** Everything that has arrived. */
  arrived = "";

  constructor(socket: SimSocket, clock: EventClock) {
    super(socket, "client");
    this.#clock = clock;
  }

  override get handler(): ConnectionHandler {
    return super.handler;
  }

  override set handler(handler: ConnectionHandler) {
    super.handler = {
      onData: (chunk) => {
        this.arrived += chunk.toString("latin1");
        return handler.onData(chunk);
      },
      onDrain: () => handler.onDrain(),
      onWritten: handler.onWritten,
      onClosed: (reason) => {
        if (reason !== CLOSED_BY_PEER || handler.onInputEnded === undefined) return handler.onClosed(reason);
        handler.onInputEnded();
        this.#clock.schedule(RESET_WITHIN_MS, () => super.handler.onClosed("ECONNRESET"));
      },
    };
  }
}

export class ServedLink implements Speaker {
  readonly wire: Wire;
  readonly core: ServedPlainCore;
  readonly #driver: Driver;
  readonly #connection: ClosedBehindEnd;
  readonly #clock: EventClock;
  readonly #random: () => number;
  readonly #listener: Listener;
  /** What the handler has sent, and the login before it. */
  readonly #said: string[] = [];
  #greeting = "";
  /** What the handler was handed. */
  readonly #read: string[] = [];
  readonly #undelivered: Array<{ text: string; delivery: string }> = [];
  #untracked = 0;
  /** The client's login was accepted, or it had none. */
  #isLetIn = false;
  #outcome: string | undefined;
  #restsUntilMs = 0;
  /** How much had arrived when the link took no more. */
  #leftAt = Infinity;

  constructor(socket: SimSocket, clock: EventClock, options: WorldOptions, random: () => number, listener: Listener) {
    this.wire = socket.wire;
    this.#clock = clock;
    this.#random = random;
    this.#listener = listener;
    const { hasLogin, inDoubtBytes, windowBytes, blockBytes } = options;
    const core = new ServedPlainCore(
      {
        ...plainOptions({ framing: LINES, hasLogin, inDoubtBytes, windowBytes, blocks: new BlockPool(blockBytes) }),
        windowFloorBytes: windowBytes,
        windowBudget: new CountingBudget(0),
      },
      { random },
    );
    this.core = core;
    const clockOfDriver = new SleepyClock(clock);
    this.#driver = new Driver(core, core, clockOfDriver);
    this.#driver.hooks = {
      onEvent: (event) => this.#onEvent(event),
      onProgress: () => {},
      isRoomAwaited: false,
      hasHandedEnough: false,
      onStepComplete: () => {},
    };
    core.opened(ID, clock.nowMs);
    this.#connection = new ClosedBehindEnd(socket, clock);
    this.#driver.attach(ID, this.#connection);
    this.#driver.run();
    this.#readLater();
  }

  // ── the handler ─────────────────────────────────────────────────────────────────────────────────────────────────

  #readLater(): void {
    const restMs = Math.max(0, this.#restsUntilMs - this.#clock.nowMs);
    this.#clock.schedule(restMs + READ_EVERY_MS * this.#random(), () => this.#readOn());
  }

  #readOn(): void {
    const { core } = this;
    if (core.ended) return;
    if (this.#clock.nowMs < this.#restsUntilMs) return this.#readLater();
    for (let most = 1 + Math.floor(this.#random() * 8); most > 0; most--) {
      const message = core.next(() => {});
      if (message === undefined) break;
      const line = message.toString("latin1");
      this.#read.push(line);
      this.#listener.onLine(line);
    }
    core.acceptHanded(0);
    // The handler returns when no message will come any more.
    if (core.takesNoMore && !core.hasUnread && !core.sendingEnded) core.end();
    this.#driver.run();
    this.#readLater();
  }

  say(text: string): void {
    const { core } = this;
    for (const line of text.split("\n").filter((each) => each !== "")) {
      if (core.adopted === undefined || core.sendingEnded) return;
      this.#said.push(line);
      core.take(line, line.length, false, "taken");
    }
    this.#driver.changed("writes");
  }

  end(): void {
    if (this.core.adopted === undefined) return this.#driver.drop(ID, "not let in");
    if (!this.core.takesNoMore) this.#leftAt = this.#connection.arrived.length;
    this.core.leave();
    this.#driver.run();
  }

  rest(ms: number): void {
    this.#restsUntilMs = this.#clock.nowMs + ms;
  }

  // ── what is told ────────────────────────────────────────────────────────────────────────────────────────────────

  #onEvent(event: Exclude<ProtocolEvent, { type: "close-connection" | "end-writing" }>): void {
    switch (event.type) {
      case "login-message":
        return this.#logIn(event.message.toString("latin1"));
      case "connected":
        this.#isLetIn = true;
        return;
      case "attempt-failed":
        return this.#listener.onClosed();
      case "severed":
      case "ended":
        this.#listener.onClosed();
        check(event.lost.length === 0, () => "a served link has lost a ticket, and nobody has one");
        for (const { message, delivery } of event.undelivered) {
          this.#undelivered.push({ text: message.toString("latin1"), delivery });
        }
        this.#untracked += event.untracked?.messages ?? 0;
        if (event.type === "ended") this.#outcome = event.outcome;
        return;
      default:
    }
  }

  #logIn(text: string): void {
    check(text === "L", () => `the server's login was handed ${JSON.stringify(text)}`);
    const isRefused = this.#listener.refusesLogins;
    this.#greeting = isRefused ? "x\n" : "l\n";
    this.core.loginSend(ID, Buffer.from(this.#greeting.trim()), "framed");
    if (!isRefused) return this.core.loginDone(ID, [], this.#clock.nowMs);
    this.core.loginFailed(ID);
    this.#listener.onClosed();
  }

  /** `got`: everything that the client has read on this connection. */
  checkAccounts(got: string): void {
    const said = this.#said.map((line) => `${line}\n`);
    const wire = this.#greeting + said.join("");
    check(
      wire.startsWith(got),
      () => `the client has read ${JSON.stringify(got)}, and was sent ${JSON.stringify(wire)}`,
    );
    const outcome = this.#outcome;
    if (!this.#isLetIn) return;
    if (outcome === undefined) throw new Violation("a served link has not ended");
    const { core } = this;
    const isLost = outcome === "connection-lost";
    check(isLost || this.#undelivered.length === 0, () => "a served link has lost messages, and has ended in order");
    check(["closed", "connection-lost"].includes(outcome), () => `a served link has ended as ${outcome}`);
    check(core.heldBytes === 0 && core.unacceptedBytes === 0, () => `a served link holds ${core.heldBytes} bytes`);
    const arrived = this.#connection.arrived.slice(0, this.#leftAt).split("\n").slice(0, -1);
    const heard = arrived.filter((line) => line !== "L");
    check(
      heard.join("\n") === this.#read.join("\n"),
      () => `${heard.length} have arrived, ${this.#read.length} were read`,
    );
    const sum = this.#untracked + this.#undelivered.length;
    check(sum === said.length, () => `a served link has told of ${sum}, and has taken ${said.length}`);
    const last = this.#said.slice(this.#untracked);
    for (const [n, { text, delivery }] of this.#undelivered.entries()) {
      check(text === last[n], () => `a served link has told of ${text} in place of ${last[n]}`);
      const begins = this.#greeting.length + said.slice(0, this.#untracked + n).join("").length;
      check(delivery === "maybe" || got.length <= begins, () => `${text} is not sent, and was read`);
    }
  }
}
