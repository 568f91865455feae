/** The machinery of a link on a small protocol without sessions: all that it asks for stands in `Protocol`. */
import { expect, test } from "vitest";
import type { Outcome } from "../../src/core/session/link-events.ts";
import type { Account } from "../../src/core/log/window.ts";
import type { Link, StateChange } from "../../src/index.ts";
import { SystemClock } from "../../src/io/clock.ts";
import { Driver } from "../../src/link/driver.ts";
import { LinkEngine } from "../../src/link/engine.ts";
import { LinkHandle } from "../../src/link/link.ts";
import { resolveLinkOptions } from "../../src/link/options.ts";
import type { Connection, ConnectionHandler } from "../../src/link/ports.ts";
import type { ChannelIo, Protocol, ProtocolEvent, Ticket } from "../../src/link/protocol.ts";
import { ampleAccount } from "../core/support.ts";
import { failure } from "../support.ts";
import { ownerOf } from "./owners.ts";

const MOST_BYTES = 100;
const END = "END";
/** The peer has accepted all that it was written. */
const ACK = "ACK";

/** A chunk is a message, an end or an acknowledgement. */
class Datagrams implements Protocol, ChannelIo {
  readonly mode = "messages";
  readonly sessionId = "";
  readonly session = this;
  readonly events: ProtocolEvent[] = [];
  readonly maxMessageBytes = MOST_BYTES;
  readonly overheadBytes = 0;
  readonly nextTimeoutMs = Infinity;
  readonly awaitsEndOfTurn = false;
  readonly windowBytes = 0;
  readonly isFull = false;
  get readsOn(): boolean {
    return true;
  }
  readonly inputMoves = false;
  readonly peerStopped = false;
  readonly rttMs = undefined;
  adopted: { id: number } | undefined;
  ended = false;
  outputEnded = false;
  readingStopped = false;
  takenBytes = 0;
  #acceptedTo = 0;
  readonly #tickets = new Map<Ticket, number>();
  received = 0;
  handedTo = 0;
  consumedTo = 0;
  recycled = 0;
  #isEndWritten = false;
  #isEndAccepted = false;
  #writtenTo = 0;
  #hasEnded = false;
  #written = 0;
  #accepted = 0;
  readonly #queue: Buffer[] = [];
  readonly #unread: Buffer[] = [];

  connect(id: number): void {
    this.adopted = { id };
    this.events.push({ type: "connected", channel: id, session: "new", reason: "opened" });
  }

  // ── what is sent ────────────────────────────────────────────────────────────────────────────────────────────────

  get roomMessages(): number {
    return 3 - this.#queue.length;
  }

  get roomBytes(): number {
    return this.roomMessages * MOST_BYTES;
  }

  hasRoom(): boolean {
    return this.roomMessages > 0;
  }

  newAccount(): Account {
    return ampleAccount();
  }

  take(payload: Uint8Array | string, payloadBytes: number): void {
    this.#queue.push(Buffer.from(payload as string));
    this.takenBytes += payloadBytes;
  }

  get queuedMessages(): number {
    return this.#queue.length;
  }

  get queuedBytes(): number {
    return this.takenBytes - this.#writtenTo;
  }

  get unackedBytes(): number {
    return this.takenBytes - this.#acceptedTo;
  }

  get owedBytes(): number {
    return this.unackedBytes;
  }

  get sendingEnded(): boolean {
    return this.outputEnded || this.ended;
  }

  get outputDone(): boolean {
    return this.#isEndAccepted;
  }

  ticket(): Ticket {
    const ticket: Ticket = { holder: undefined };
    this.#tickets.set(ticket, this.takenBytes);
    return ticket;
  }

  withdraw(ticket: Ticket): boolean {
    const isAccepted = (this.#tickets.get(ticket) ?? Infinity) <= this.#acceptedTo;
    this.#tickets.delete(ticket);
    return isAccepted;
  }

  takeDelivered(): Ticket[] {
    const delivered = Array.from(this.#tickets).flatMap(([ticket, end]) => (end <= this.#acceptedTo ? [ticket] : []));
    for (const ticket of delivered) this.#tickets.delete(ticket);
    return delivered;
  }

  recycle(): void {
    this.recycled++;
  }

  end(): void {
    this.outputEnded = true;
  }

  transmit(): Buffer[] {
    if (this.#isEndWritten) return [];
    const out = this.#queue.splice(0);
    this.#written += out.length;
    this.#writtenTo = this.takenBytes;
    if (this.outputEnded) out.push(Buffer.from(END));
    this.#isEndWritten = this.outputEnded;
    return out;
  }

  accepted(): { messages: number; bytes: number } {
    return { messages: this.#accepted, bytes: this.#acceptedTo };
  }

  // ── what is received ────────────────────────────────────────────────────────────────────────────────────────────

  receive(_: number, chunk: Buffer): void {
    const text = String(chunk);
    if (text === ACK) {
      this.#accepted = this.#written;
      this.#acceptedTo = this.#writtenTo;
      this.#isEndAccepted = this.#isEndWritten;
    } else if (text === END) {
      this.#hasEnded = true;
    } else {
      this.#unread.push(chunk);
      this.received += chunk.length;
    }
    this.#checkThrough();
  }

  get hasUnread(): boolean {
    return this.#unread.length > 0;
  }

  get readableBytes(): number {
    return this.received - this.handedTo;
  }

  get unacceptedBytes(): number {
    return this.received - this.consumedTo;
  }

  next(): Buffer | undefined {
    const message = this.#unread.shift();
    this.handedTo += message?.length ?? 0;
    return message;
  }

  handOut(hand: (message: Buffer, end: number) => boolean): boolean {
    for (let message = this.next(); message !== undefined; message = this.next()) {
      if (!hand(message, this.handedTo)) break;
    }
    return false;
  }

  accept(position: number): void {
    this.consumedTo = Math.max(this.consumedTo, position);
    this.#checkThrough();
  }

  acceptHanded(exceptBytes: number): boolean {
    const before = this.consumedTo;
    this.accept(this.handedTo - exceptBytes);
    return this.consumedTo > before;
  }

  get inputEnded(): boolean {
    return this.#hasEnded && !this.hasUnread;
  }

  get inputAccepted(): boolean {
    return this.inputEnded && this.unacceptedBytes === 0;
  }

  stopReading(): void {
    this.readingStopped = true;
    this.#checkThrough();
  }

  // ── endings ─────────────────────────────────────────────────────────────────────────────────────────────────────

  #checkThrough(): void {
    if (this.#isEndAccepted && (this.inputAccepted || this.readingStopped)) this.#tell("closed");
  }

  #tell(outcome: Outcome): void {
    if (this.ended) return;
    this.ended = true;
    this.events.push({
      type: "ended",
      outcome,
      peerCode: "",
      undeliveredCount: 0,
      undelivered: [],
      lost: [],
      detail: "",
    });
  }

  reset(_code: string, _reason: string, outcome: Outcome): void {
    this.#tell(outcome);
  }

  abandon(outcome: Outcome): void {
    this.#tell(outcome);
  }

  connectionClosed(): void {
    this.#tell("gave-up");
  }

  tick(): void {}

  ping(): boolean {
    return false;
  }

  endTurn(): boolean {
    return false;
  }
}

const MOST_UNACCEPTED_BYTES = 10;

/** Without credit: it is read no faster than its consumer accepts. One write at a time: the rest is not sent for sure. */
class Careful extends Datagrams {
  /** What became of the messages, when the connection was lost. */
  lost: { maybe: string[]; notSent: number } | undefined;
  #underWay: Buffer[] = [];

  override get readsOn(): boolean {
    return this.unacceptedBytes < MOST_UNACCEPTED_BYTES;
  }

  override transmit(): Buffer[] {
    if (this.#underWay.length > 0) return [];
    this.#underWay = super.transmit();
    return this.#underWay;
  }

  written(id: number): void {
    if (id === this.adopted?.id) this.#underWay = [];
  }

  override connectionClosed(): void {
    this.lost = { maybe: this.#underWay.map(String), notSent: this.queuedMessages };
    super.connectionClosed();
  }
}

const NOBODY: ConnectionHandler = { onData: () => undefined, onDrain: () => {}, onClosed: () => {} };

/** A connection to a peer that acknowledges what it is written, once the kernel has it. */
class Line implements Connection {
  handler: ConnectionHandler = NOBODY;
  readonly remoteAddress = "127.0.0.1:1";
  readonly roomBytes = 65_536;
  pendingBytes = 0;
  isPaused = false;
  /** The kernel takes nothing. */
  isStuck = false;
  readonly written: string[] = [];

  write(buffers: readonly Buffer[]): boolean {
    this.written.push(...buffers.map(String));
    for (const { length } of buffers) this.pendingBytes += length;
    if (!this.isStuck) setImmediate(() => this.#take());
    return false;
  }

  #take(): void {
    if (this.pendingBytes > 0) {
      this.pendingBytes = 0;
      this.handler.onWritten?.();
    }
    this.handler.onData(Buffer.from(ACK));
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  end(): void {}

  destroy(): void {}
}

interface Held {
  driver: Driver;
  link: Link;
  connection: Line;
  written: string[];
  changes: StateChange[];
}

function held(protocol: Datagrams = new Datagrams()): Held {
  const driver = new Driver(protocol, protocol, new SystemClock());
  const { owner, changes } = ownerOf("datagrams");
  const link = new LinkHandle(new LinkEngine("datagrams", driver, resolveLinkOptions({}, "client"), owner));
  const connection = new Line();
  protocol.connect(1);
  driver.attach(1, connection);
  driver.run();
  return { driver, link, connection, written: connection.written, changes };
}

test("it is connected, and sends what it is given, until it is accepted", async () => {
  const protocol = new Datagrams();
  const { link, written } = held(protocol);
  await link.connected();
  expect(link.remoteAddress).toBe("127.0.0.1:1");
  expect(link.sessionId).toBe("");
  await link.send("one", { until: "accepted" });
  expect(link.trySend(Buffer.from("two"))).toBe(true);
  expect(link.writableLength).toBe(3);
  await link.flush();
  expect(link.writableLength).toBe(0);
  expect(written).toEqual(["one", "two"]);
  expect(link.stats()).toMatchObject({ accepted: { messages: 2, bytes: 6 }, queue: { messages: 0 }, rttMs: undefined });
  expect(protocol.recycled).toBeGreaterThan(0);
});

test("its queue has the bounds that the protocol states, and so has a message", async () => {
  const { link } = held();
  expect((await failure(() => link.trySend("x".repeat(MOST_BYTES + 1)))).code).toBe("MESSAGE_TOO_LARGE");
  expect([1, 2, 3, 4].map((n) => link.trySend(`${n}`))).toEqual([true, true, true, false]);
  await link.ready();
  expect(link.trySend("4")).toBe(true);
});

test("what arrives is handed out, with a position, and accepted", async () => {
  const protocol = new Datagrams();
  const { link, connection } = held(protocol);
  const first = link.receive();
  connection.handler.onData(Buffer.from("one"));
  expect(String(await first)).toBe("one");
  expect([link.position, protocol.consumedTo]).toEqual([3, 3]);
  const got: string[] = [];
  link.onMessage((message) => void got.push(String(message)));
  for (const text of ["two", "three"]) connection.handler.onData(Buffer.from(text));
  await link.flush();
  await new Promise(setImmediate);
  expect(got).toEqual(["two", "three"]);
  expect([link.position, protocol.consumedTo, link.readableLength]).toEqual([11, 11, 0]);
});

test("a handler that throws has accepted what came before, and ends the link", async () => {
  const protocol = new Datagrams();
  const { link, connection } = held(protocol);
  connection.handler.onData(Buffer.from("good"));
  connection.handler.onData(Buffer.from("bad"));
  link.onMessage((message) => {
    if (String(message) === "bad") throw new Error("mine");
  });
  expect((await link.closed).error?.code).toBe("HANDLER_FAILED");
  expect(protocol.consumedTo).toBe(4);
});

test("it ends when both directions have, and close() waits for that", async () => {
  const { link, connection, written, changes } = held();
  link.onMessage(() => {});
  link.trySend("last");
  connection.handler.onData(Buffer.from(END));
  expect(await link.close()).toEqual({ undelivered: [] });
  expect(written).toEqual(["last", END]);
  expect(changes.map(({ to }) => to)).toEqual(["connected", "draining", "closed"]);
  expect((await failure(() => link.trySend("late"))).code).toBe("LINK_ENDED");
});

test("a connection whose consumer is slow is paused, and read on as the consumer accepts", async () => {
  const protocol = new Careful();
  const { link, connection } = held(protocol);
  const seen: boolean[] = [];
  for (const text of ["1234", "5678", "9012"]) {
    connection.handler.onData(Buffer.from(text));
    seen.push(connection.isPaused);
  }
  expect(seen).toEqual([false, false, true]);
  // A stream that cannot be paused goes on.
  connection.handler.onData(Buffer.from("3456"));
  expect(String(await link.receive())).toBe("1234");
  await new Promise(setImmediate);
  expect([protocol.unacceptedBytes, connection.isPaused]).toEqual([12, true]);
  expect(String(await link.receive())).toBe("5678");
  await new Promise(setImmediate);
  expect([protocol.unacceptedBytes, connection.isPaused]).toEqual([8, false]);
});

test("only the connection in use is paused, and another that takes over from it", async () => {
  const protocol = new Careful();
  const { driver, link, connection } = held(protocol);
  const next = new Line();
  driver.attach(2, next);
  connection.handler.onData(Buffer.from("0123456789"));
  expect([connection.isPaused, next.isPaused]).toEqual([true, false]);
  protocol.connect(2);
  driver.run();
  expect([connection.isPaused, next.isPaused]).toEqual([false, true]);
  await link.receive();
  await new Promise(setImmediate);
  expect([connection.isPaused, next.isPaused]).toEqual([false, false]);
});

test("the protocol is told when the kernel has what it wrote, and writes on", async () => {
  const protocol = new Careful();
  const { driver, link, connection, written } = held(protocol);
  link.trySend("one");
  driver.run();
  link.trySend("two");
  driver.run();
  expect(written).toEqual(["one"]);
  await link.flush();
  expect(written).toEqual(["one", "two"]);
  await new Promise(setImmediate);
  connection.isStuck = true;
  link.trySend("three");
  driver.run();
  for (const text of ["four", "five"]) link.trySend(text);
  driver.run();
  expect(written).toEqual(["one", "two", "three"]);
  connection.handler.onClosed("ECONNRESET");
  expect((await link.closed).error?.code).toBe("GAVE_UP");
  expect(protocol.lost).toEqual({ maybe: ["three"], notSent: 2 });
});

test("a protocol that does not ask is not told", () => {
  expect([held().connection, held(new Careful()).connection].map(({ handler }) => typeof handler.onWritten)).toEqual([
    "undefined",
    "function",
  ]);
});
