/** A plain core behind a real driver, with an application that sends numbered messages and notes what it is told. */
import { BlockPool } from "../../src/core/log/blocks.ts";
import { Driver } from "../../src/link/driver.ts";
import type { ProtocolEvent } from "../../src/link/protocol.ts";
import { PlainCore } from "../../src/plain/core.ts";
import type { PlainCoreOptions } from "../../src/plain/options.ts";
import type { PlainTicket } from "../../src/plain/entry.ts";
import type { Framing } from "../../src/plain/framing.ts";
import type { RequestOptions } from "../../src/plain/options.ts";
import type { EventClock } from "../../src/testing/clock.ts";
import type { SimNetwork, SimSocket, Wire } from "../../src/testing/network.ts";
import { SimConnection } from "../../src/testing/sim-connection.ts";
import { CountingBudget } from "../core/support.ts";
import { LINES, plainOptions } from "../plain/support.ts";
import type { WorldOptions } from "./draw.ts";
import { check, checkAscending, Ledger } from "./ledger.ts";
import { ADDRESS } from "./server.ts";
import { SleepyClock } from "./sleepy.ts";

const numberOf = (message: Buffer): number => Number(/^[qsam!](\d+)/u.exec(message.toString("latin1"))?.[1]);
const isOne = (message: Buffer, letter: string): boolean => message[0] === letter.charCodeAt(0);

/** Other bytes than the message's own, in one piece. */
const COPIED: Framing = { ...LINES, name: "copied", encode: (message) => Buffer.concat([message, Buffer.from("\n")]) };

/** Hands over what arrives when the process is awake, and notes what is written. */
class Watched extends SimConnection {
  readonly #clock: EventClock;
  readonly #sleepy: SleepyClock;
  readonly #onWrite: (text: string) => void;
  readonly #socket: SimSocket;
  /** The last write() has answered that the kernel has everything. */
  #isTold = false;
  /** Everything that was read. */
  read = "";

  constructor(socket: SimSocket, clock: EventClock, sleepy: SleepyClock, onWrite: (text: string) => void) {
    super(socket, ADDRESS);
    this.#clock = clock;
    this.#sleepy = sleepy;
    this.#onWrite = onWrite;
    this.#socket = socket;
    this.#delay(socket);
  }

  #delay(socket: SimSocket): void {
    // The driver sets the handler after this, and with it the socket's events.
    this.#clock.schedule(0, () => {
      const { events } = socket;
      // In the order in which it came, also where two things come at one moment.
      let waiting = 0;
      const later = (run: () => void): void => {
        if (this.#sleepy.sleepsForMs === 0 && waiting === 0) return run();
        waiting++;
        this.#clock.schedule(this.#sleepy.sleepsForMs, () => {
          waiting--;
          run();
        });
      };
      socket.events = {
        onData: (chunk) =>
          later(() => {
            this.read += chunk.toString("latin1");
            events.onData(chunk);
          }),
        onDrain: () => later(() => events.onDrain()),
        onWritten: () => later(() => void (this.#isTold || this.pendingBytes > 0 || events.onWritten?.())),
        onClose: (reason) => later(() => events.onClose(reason)),
      };
    });
  }

  /** A kernel with room may say so at once. By the number of bytes: a seed runs the same each time. */
  override write(buffers: readonly Buffer[]): boolean {
    const bytes = Buffer.concat(buffers);
    this.#onWrite(bytes.toString("latin1"));
    super.write(buffers);
    this.#isTold = !this.#socket.closed && this.pendingBytes === 0 && bytes.length % 2 === 0;
    return this.#isTold;
  }
}

function requestsOf({ protocol, maxInFlight }: WorldOptions): RequestOptions | undefined {
  if (protocol === "silent" || protocol === "proven") return undefined;
  const base: RequestOptions = {
    maxInFlight,
    maxAnswerBytes: 10_000,
    classify: (m) => (isOne(m, "!") ? "push" : isOne(m, "m") ? "more" : "answer"),
  };
  if (protocol === "in-order") return base;
  return { ...base, idOf: (m) => (isOne(m, "q") || isOne(m, "a") || isOne(m, "m") ? numberOf(m) : undefined) };
}

function coreOptions(options: WorldOptions): PlainCoreOptions {
  const requests = requestsOf(options);
  const isAnswer = (message: Buffer): boolean => message.toString("latin1") === "p";
  return plainOptions({
    framing: options.hasLargeMessages ? COPIED : LINES,
    hasLogin: options.hasLogin,
    resendInFlight: options.resendInFlight,
    inDoubtBytes: options.inDoubtBytes,
    windowBytes: options.windowBytes,
    pingAfterMs: options.pingAfterMs,
    idleCloseMs: options.idleCloseMs,
    maxConnectionAgeMs: options.maxConnectionAgeMs,
    probe: { message: Buffer.from("P"), proves: options.protocol === "proven", isAnswer },
    ...(requests !== undefined && { requests }),
    reconnectWhen: (message) => isOne(message, "R"),
    blocks: new BlockPool(options.blockBytes),
    logBudget: new CountingBudget(10_000_000),
    deadAfterMs: 2_000,
    answerMs: 3_000,
    writeStallMs: 2_500,
  });
}

export class PlainClient {
  readonly core: PlainCore;
  readonly driver: Driver;
  readonly ledger: Ledger = new Ledger();
  readonly sleepy: SleepyClock;
  readonly trace: string[] = [];
  readonly reasons: string[] = [];
  readonly #network: SimNetwork;
  readonly #options: WorldOptions;
  readonly #random: () => number;
  readonly #tickets = new Map<object, number>();
  readonly #flushes = new Map<object, number>();
  /** The connection that a message is for. */
  readonly #bound = new Map<number, number>();
  /** The connections that were in use, and are gone. */
  readonly #gone = new Set<number>();
  /** The connection in use. */
  #inUse: number | undefined;
  /** How many messages for one connection were not sent, as it was closed before, in order or not. */
  boundNotSent = 0;
  #lastId = 0;
  #isDialling = false;
  /** What was written on the newest connection, and is no whole line yet. */
  #partWritten = "";
  readonly #watched = new Map<Wire, Watched>();
  /** The server's pushes that were read. */
  readonly pushes: number[] = [];
  outcome: string | undefined;

  constructor(network: SimNetwork, options: WorldOptions, random: () => number) {
    this.#network = network;
    this.#options = options;
    this.#random = random;
    this.sleepy = new SleepyClock(network.clock);
    this.core = new PlainCore(coreOptions(options), { random });
    this.driver = new Driver(this.core, this.core, this.sleepy);
    this.driver.hooks = {
      onEvent: (event) => this.#onEvent(event),
      onProgress: () => this.#takeDelivered(),
      isRoomAwaited: false,
      hasHandedEnough: false,
      onStepComplete: () => this.#dial(),
    };
    this.driver.run();
    this.#schedule(options.readEveryMs, () => this.#read());
  }

  note(text: string): void {
    this.trace.push(`${this.#network.clock.nowMs.toFixed(1)} ${text}`);
  }

  /** What has arrived from the server on this connection. */
  readOn(wire: Wire): string {
    return this.#watched.get(wire)?.read ?? "";
  }

  #schedule(mostMs: number, run: () => void): void {
    this.#network.clock.schedule(Math.max(this.#random() * mostMs, this.sleepy.sleepsForMs), run);
  }

  // ── connections ─────────────────────────────────────────────────────────────────────────────────────────────────

  #dial(): void {
    const { core } = this;
    if (!core.wantsDial || this.#isDialling) return;
    this.#isDialling = true;
    const delayMs = core.dialsAtOnce ? 0 : 50 * this.#random();
    const again = (): void => {
      this.#isDialling = false;
      this.driver.run();
    };
    this.#network.clock.schedule(delayMs, () => {
      this.#network.dial(
        ADDRESS,
        (socket) => {
          this.#isDialling = false;
          this.#opened(socket);
        },
        () => this.#network.clock.schedule(100, again),
      );
    });
  }

  #opened(socket: SimSocket): void {
    const id = ++this.#lastId;
    this.core.connectionOpened(id, "primary", Buffer.alloc(0), this.sleepy.now());
    this.#partWritten = this.ledger.part = "";
    const watched = new Watched(socket, this.#network.clock, this.sleepy, (text) => this.#onWrite(id, text));
    this.#watched.set(socket.wire, watched);
    this.driver.attach(id, watched);
    if (this.#options.hasLogin) this.core.loginSend(id, Buffer.from("L"), "framed");
    this.note(`connection ${id}`);
    this.driver.run();
  }

  #onWrite(id: number, text: string): void {
    if (id !== this.#lastId) return;
    const lines = (this.#partWritten + text).split("\n");
    this.#partWritten = lines.pop() ?? "";
    this.ledger.part = this.#partWritten.includes(":") ? "" : this.#partWritten;
    for (const line of [...lines, this.#partWritten]) {
      const number = numberOf(Buffer.from(line, "latin1"));
      // A line that is cut in its number is another message's, or none.
      if (Number.isNaN(number) || !line.includes(":")) continue;
      this.ledger.begun.add(number);
      const bound = this.#bound.get(number) ?? id;
      check(bound === id, () => `message ${number} is for connection ${bound}, and was written on ${id}`);
    }
  }

  // ── what is sent ────────────────────────────────────────────────────────────────────────────────────────────────

  send(): void {
    const { core, ledger } = this;
    const wantsAnswer = core.knowsAcceptance && this.#random() < 0.7;
    const isRequest = wantsAnswer && this.#options.protocol !== "proven" && this.#random() < 0.8;
    const letter = isRequest || (wantsAnswer && this.#options.protocol === "by-id") ? "q" : "s";
    const number = ledger.taken++;
    const size =
      this.#options.hasLargeMessages && this.#random() < 0.2
        ? Math.min(3_000, 10 * this.#options.kernelBytes)
        : Math.floor(this.#random() * 40);
    const text = `${letter}${number}:${"x".repeat(size)}`;
    const payload = this.#random() < 0.5 ? text : Buffer.from(text);
    if (isRequest) {
      core.take(payload, text.length, false, "answered");
      this.#bind(number);
      const ticket = core.ticket("answer");
      this.#tickets.set(ticket, number);
      if (this.#random() < 0.1) this.#schedule(100, () => this.#cancel(ticket));
    } else {
      core.take(payload, text.length, this.#random() < 0.2, wantsAnswer ? "accepted" : "taken");
      this.#bind(number);
      if (wantsAnswer) this.#tickets.set(core.ticket("message"), number);
    }
    if (this.#random() < 0.1) this.#flushes.set(core.ticket("everything"), number);
    this.driver.changed(this.#random() < 0.5 ? "writes" : undefined);
  }

  #bind(number: number): void {
    const { adopted } = this.core;
    if (adopted === undefined || this.#random() >= this.#options.bound) return;
    this.core.bind();
    this.#bound.set(number, adopted.id);
  }

  /** What was for another connection was written on it, or was reported. */
  #checkBound(id: number): void {
    for (const [number, bound] of this.#bound) {
      const isTold = bound === id || this.ledger.begun.has(number) || this.ledger.fates.has(number);
      check(isTold, () => `message ${number} is for connection ${bound}, and waits on ${id}`);
    }
  }

  /** While the link goes on, only a message whose own connection is gone is reported as not sent. */
  #settle(number: number, delivery: "maybe" | "not-sent", by: "connection-lost" | "ended"): void {
    this.ledger.settle(number, delivery);
    if (delivery === "maybe" || by === "ended") return;
    const bound = this.#bound.get(number);
    check(bound !== undefined && this.#gone.has(bound), () => `message ${number} can be sent, and is reported`);
    this.boundNotSent++;
  }

  #cancel(ticket: PlainTicket): void {
    if (!this.#tickets.has(ticket)) return;
    this.core.withdraw(ticket);
    this.#tickets.delete(ticket);
    this.driver.changed();
  }

  // ── what is read ────────────────────────────────────────────────────────────────────────────────────────────────

  #read(): void {
    for (let most = 1 + Math.floor(this.#random() * 5); most > 0; most--) {
      const message = this.core.next(() => {});
      if (message === undefined) break;
      const text = message.toString("latin1");
      check(/^!\d+$|^R$|^a999999$/u.test(text), () => `the consumer was handed ${JSON.stringify(text)}`);
      this.pushes.push(numberOf(message));
    }
    if (this.core.acceptHanded(0)) this.driver.changed();
    if (!this.core.ended) this.#schedule(this.#options.readEveryMs, () => this.#read());
  }

  // ── what is told ────────────────────────────────────────────────────────────────────────────────────────────────

  #takeDelivered(): void {
    for (const ticket of this.core.takeDelivered()) {
      const flushed = this.#flushes.get(ticket);
      if (flushed === undefined) this.#delivered(ticket);
      else this.#flushed(flushed);
      this.#flushes.delete(ticket);
    }
  }

  #delivered(ticket: object): void {
    const number = this.#tickets.get(ticket);
    this.#tickets.delete(ticket);
    check(number !== undefined, () => "a ticket that nobody holds was delivered");
    this.ledger.settle(number as number, "delivered");
  }

  /** The kernel has everything up to this message. */
  #flushed(to: number): void {
    for (let number = 0; number <= to; number++) {
      const isKnown = this.ledger.begun.has(number) || this.ledger.fates.has(number);
      check(isKnown, () => `flushed up to ${to}, and ${number} was never written`);
    }
  }

  #onEvent(event: Exclude<ProtocolEvent, { type: "close-connection" }>): void {
    this.note(`${event.type} ${"reason" in event ? event.reason : ""}`);
    switch (event.type) {
      case "login-message":
        this.#onLogin(event.channel, event.message.toString("latin1"));
        break;
      case "answered":
        this.#onAnswered(event.ticket, event.parts);
        break;
      case "connected":
        this.#inUse = event.channel;
        this.#checkBound(event.channel);
        break;
      case "disconnected":
        if (this.#inUse !== undefined) this.#gone.add(this.#inUse);
        this.reasons.push(event.reason);
        break;
      case "connection-lost":
        this.#onReport(event);
        break;
      case "ended":
        this.outcome = event.outcome;
        this.#takeDelivered();
        this.#onReport(event);
        check(this.#tickets.size === 0, () => `${this.#tickets.size} calls were never told`);
        check(this.#flushes.size === 0, () => `${this.#flushes.size} flushes were never told`);
        break;
      default:
        break;
    }
  }

  #onLogin(id: number, text: string): void {
    if (text === "l") this.core.loginDone(id, [], this.sleepy.now());
    else if (text === "x") this.driver.drop(id, "refused");
    else check(/^R$|^!|^a999999$/u.test(text), () => `the login was handed ${JSON.stringify(text)}`);
  }

  #onAnswered(ticket: object, parts: readonly Buffer[]): void {
    const number = this.#tickets.get(ticket);
    const texts = parts.map((part) => part.toString("latin1"));
    const isOurs = texts.at(-1) === `a${number}` && texts.slice(0, -1).every((text) => text === `m${number}`);
    check(isOurs, () => `request ${number} was answered with ${texts.join(", ")}`);
    this.#delivered(ticket);
  }

  #onReport(report: Extract<ProtocolEvent, { type: "connection-lost" | "ended" }>): void {
    const { lost, undelivered, undeliveredCount, untracked } = report;
    const told: number[] = [];
    this.#takeDelivered();
    for (const { ticket, delivery, entry } of lost) {
      if (this.#flushes.delete(ticket)) continue;
      const number = this.#tickets.get(ticket);
      this.#tickets.delete(ticket);
      check(number !== undefined, () => "a ticket that nobody holds was lost");
      if (entry !== undefined) check(numberOf(entry.message) === number, () => "a ticket has another's message");
      told.push(number as number);
      this.#settle(number as number, delivery, report.type);
    }
    checkAscending(told, "lost tickets");
    checkAscending(
      undelivered.map(({ message }) => numberOf(message)),
      "undelivered",
    );
    for (const { message, delivery } of undelivered) {
      told.push(numberOf(message));
      this.#settle(numberOf(message), delivery, report.type);
    }
    check(told.length === undeliveredCount, () => `${undeliveredCount} are counted, ${told.length} told`);
    this.ledger.untracked += untracked?.messages ?? 0;
  }
}
