/**
 * Drives a protocol on its connections: bytes go in, and after every input the outputs are drained, in one place and
 * in one order: events, bytes to write, the next wake-up. An acknowledgement alone is written at the end of the turn,
 * for everything that has arrived in it.
 */
import type { CloseConnection } from "../core/session/link-events.ts";
import { printable } from "../telemetry/printable.ts";
import type { Addresses, Clock, Connection, ConnectionHandler, Timer } from "./ports.ts";
import type { ChannelIo, LinkEvent, Protocol } from "./protocol.ts";

/** The hooks that the driver calls within a step. A hook may call the protocol again, but never waits. */
export interface DriverHooks {
  onEvent(event: LinkEvent): void;
  /** Absent: nothing is passed on without a step. */
  readonly incoming?: PieceTaker;
  /** Something was received or accepted. */
  onProgress(): void;
  readonly isRoomAwaited: boolean;
  /** More has arrived than the consumer may be handed in this turn of the event loop. */
  readonly hasHandedEnough: boolean;
  /** The step is complete. */
  onStepComplete(): void;
}

/** Takes pieces that have just come. */
export interface PieceTaker {
  /** Whether `passOn()` may be called now. */
  readonly mayPassOn: boolean;
  /** Answers whether they are accepted. */
  passOn(bytes: Buffer): boolean;
}

/** When so many bytes were taken they are written at once, and not at the end of the turn. */
const WRITE_AT_ONCE_BYTES = 65_536;

export class Driver {
  readonly protocol: Protocol;
  readonly clock: Clock;
  hooks: DriverHooks | undefined;
  readonly channels: ChannelIo;
  /** The connections: one, or two while a second stands by. */
  #attached: readonly Attached[] = NONE;
  /** Connections that were ended in order, and have not been closed by the peer yet. */
  #leaving: Set<Connection> | undefined;
  /** Whether they are of interest: a step is complete when the last of them is gone, too. */
  followsLeaving = false;
  /** The connection that is not read, as the protocol does not read on. */
  #paused: Attached | undefined;
  readonly #timer: Timer;
  #running = false;
  #again = false;
  /** There is something new to write since the step began to write. */
  #unwritten = false;
  #deferred = false;
  #turnEnds = false;
  /** `takenBytes` when `changed()` last wrote. */
  #takenBefore = 0;
  #holdsProcess = true;

  constructor(protocol: Protocol, channels: ChannelIo, clock: Clock) {
    this.protocol = protocol;
    this.channels = channels;
    this.clock = clock;
    this.#timer = clock.timer(Driver.#onTimer, this);
  }

  static #onTimer(this: void, driver: Driver): void {
    driver.protocol.tick(driver.clock.now());
    driver.run();
  }

  get remoteAddress(): string | undefined {
    return this.addressOf(this.protocol.adopted?.id);
  }

  /** Of the connection in use, if there is one. */
  get addresses(): Addresses | undefined {
    const connection = this.#find(this.protocol.adopted?.id)?.connection;
    if (connection === undefined || connection.addresses !== undefined) return connection?.addresses;
    const { remoteAddress } = connection;
    return { remoteAddress, remotePort: undefined, localAddress: undefined, localPort: undefined };
  }

  addressOf(id: number | undefined): string | undefined {
    return this.#find(id)?.connection.remoteAddress;
  }

  #find(id: number | undefined): Attached | undefined {
    return this.#attached.find((attached) => attached.id === id);
  }

  attach(id: number, connection: Connection): void {
    // Not by a spread: V8 gives that room for sixteen more, in each link.
    this.#attached = this.#attached.concat(new Attached(this, id, connection));
    if (!this.#holdsProcess) connection.holdProcess?.(false);
  }

  detach(id: number): Connection | undefined {
    const found = this.#find(id);
    if (found !== undefined) this.#attached = this.#attached.filter((attached) => attached !== found);
    return found?.connection;
  }

  /** Whether the link's timer and connections, now and later, keep the process alive. */
  holdProcess(isHeld: boolean): void {
    this.#holdsProcess = isHeld;
    this.#timer.holdProcess(isHeld);
    for (const { connection } of this.#attached) connection.holdProcess?.(isHeld);
  }

  /** Destroys the connection, and tells the protocol that it has failed. */
  drop(id: number, reason: string): void {
    const connection = this.detach(id);
    if (connection === undefined) return;
    connection.destroy();
    this.channels.connectionClosed(id, reason, this.clock.now());
    this.run();
  }

  /** The application doubts the path. The writing is spread over turns: it may doubt that of very many links at once. */
  ping(): void {
    if (this.#attached.length === 0) return;
    if (this.protocol.ping(this.clock.now())) this.clock.spread(Driver.#runPing, this);
    else this.#timer.set(this.protocol.nextTimeoutMs);
  }

  /** By then the driver may have been stopped. */
  static #runPing(this: void, driver: Driver): void {
    if (driver.#attached.length > 0) driver.run();
  }

  /**
   * The application has changed something. "writes": the change only gives something to write. The next step runs at
   * the end of the turn; if there is much to write, that is written at once.
   */
  changed(what?: "writes"): void {
    if (this.#running) {
      if (what === "writes") this.#unwritten = true;
      else this.#again = true;
      return;
    }
    if (!this.#deferred) {
      this.#deferred = true;
      this.clock.defer(Driver.#runDeferred, this);
    }
    const { takenBytes } = this.protocol;
    if (takenBytes - this.#takenBefore < WRITE_AT_ONCE_BYTES) return;
    this.#takenBefore = takenBytes;
    this.#transmit();
  }

  /** From now until `writeHeld()` a change makes no step. Answers whether none is running. */
  hold(): boolean {
    if (this.#running) return false;
    this.#running = true;
    return true;
  }

  /** Writes what was taken since `hold()` at once, and not at the end of the turn. The rest of the step follows. */
  writeHeld(): void {
    this.#running = false;
    if (!this.#unwritten && !this.#again) return;
    this.#transmit();
    this.run();
  }

  /** Takes a small piece and writes it, by the protocol's short way. Answers false if nothing was taken. */
  writeNow(head: number, memory: Buffer, from: number, to: number): boolean {
    const only = this.#attached[0];
    if (only === undefined || this.#running || this.#attached.length > 1) return false;
    const { id, connection } = only;
    const { protocol } = this;
    if (connection.roomBytes <= to - from || protocol.events.length > 0) return false;
    const out = protocol.transmitNow?.(id, head, memory, from, to, this.clock.now());
    if (out === undefined) return false;
    connection.write(out);
    this.#timer.set(protocol.nextTimeoutMs);
    return true;
  }

  /** Hands on what has come, by the protocol's short way. Answers false if nothing was done. */
  passOn(id: number, chunk: Buffer): boolean {
    const { protocol } = this;
    const incoming = this.hooks?.incoming;
    if (this.#running || protocol.events.length > 0 || incoming?.mayPassOn !== true) return false;
    const bytes = protocol.receiveNow?.(id, chunk, this.clock);
    if (bytes === undefined) return false;
    this.#running = true;
    let isAccepted = false;
    try {
      isAccepted = incoming.passOn(bytes);
    } finally {
      this.#running = false;
    }
    const isMore = protocol.receivedNow?.(isAccepted, this.clock.now()) !== false;
    if (isMore || this.#again || this.#unwritten || protocol.events.length > 0) this.run();
    else this.#timer.set(protocol.nextTimeoutMs);
    return true;
  }

  static #runDeferred(this: void, driver: Driver): void {
    driver.#deferred = false;
    driver.run();
  }

  static #endTurn(this: void, driver: Driver): void {
    driver.#turnEnds = false;
    if (driver.protocol.endTurn()) driver.run();
  }

  run(): void {
    if (this.#running) {
      this.#again = true;
      return;
    }
    this.#running = true;
    try {
      do this.#step();
      while (this.#again);
    } finally {
      this.#running = false;
    }
    if (this.protocol.awaitsEndOfTurn && !this.#turnEnds) {
      this.#turnEnds = true;
      this.clock.afterPoll(Driver.#endTurn, this);
    }
    if (!this.protocol.readsOn || this.#paused !== undefined) this.#pauseOrResume();
    this.#timer.set(this.protocol.nextTimeoutMs);
    this.hooks?.onStepComplete();
  }

  /** Pauses the connection in use, and no other: one that is to replace it has its introduction to read. */
  #pauseOrResume(): void {
    const { adopted, readsOn } = this.protocol;
    const paused = readsOn ? undefined : this.#find(adopted?.id);
    if (paused === this.#paused) return;
    this.#paused?.connection.resume();
    this.#paused = paused;
    paused?.connection.pause();
  }

  #step(): void {
    this.#again = false;
    this.#drainEvents();
    this.hooks?.onProgress();
    this.#drainEvents();
    this.#unwritten = false;
    // Writing may have made room for messages that wait to be taken.
    if (this.#transmit() && this.hooks?.isRoomAwaited === true) this.#again = true;
    // A connection that was closed instead of being written on may have made room, or settled what calls wait for.
    if (this.#drainEvents()) this.#again = true;
    if (this.#unwritten) this.#again = true;
  }

  /** Answers whether there were any. */
  #drainEvents(): boolean {
    const { events } = this.protocol;
    if (events.length === 0) return false;
    while (events.length > 0) {
      for (const event of events.splice(0)) {
        if (event.type === "close-connection") this.#close(event);
        else if (event.type === "end-writing") this.#find(event.channel)?.connection.endWriting?.();
        else this.hooks?.onEvent(event);
      }
    }
    return true;
  }

  #close({ channel, last, lingerMs }: CloseConnection): void {
    const connection = this.detach(channel);
    if (last === undefined) return connection?.destroy();
    connection?.end(last, lingerMs);
    if (!this.followsLeaving || connection?.whenGone === undefined) return;
    const leaving = (this.#leaving ??= new Set());
    leaving.add(connection);
    connection.whenGone(() => {
      const wasLast = leaving.delete(connection) && leaving.size === 0;
      if (wasLast && !this.#running) this.hooks?.onStepComplete();
    });
  }

  /** A connection was ended in order, and its peer has not closed it yet. */
  get isLeaving(): boolean {
    return this.#leaving !== undefined && this.#leaving.size > 0;
  }

  /** Waits for no peer any more. */
  dropLeaving(): void {
    for (const connection of this.#leaving ?? []) connection.destroy();
  }

  /** Answers whether anything was written. */
  #transmit(): boolean {
    if (this.#attached.length === 0) return false;
    const nowMs = this.clock.now();
    const { adopted } = this.protocol;
    let wrote = false;
    for (const { id, connection } of this.#attached) {
      if (id === adopted?.id) this.protocol.recycle(connection.pendingBytes);
      for (let room = connection.roomBytes; room > 0; room = connection.roomBytes) {
        const out = this.channels.transmit(id, room, nowMs);
        if (out.length === 0) break;
        wrote = true;
        if (connection.write(out)) this.#written(id);
        // With less than there is room for, it was everything.
        let bytes = 0;
        for (const buffer of out) bytes += buffer.length;
        if (bytes < room) break;
      }
    }
    return wrote;
  }

  #written(id: number): void {
    this.protocol.written?.(id);
    // A call may wait for this.
    this.#again = true;
  }

  /** Stops driving the link: clears the timer and destroys the connections. */
  stop(): void {
    this.#timer.clear();
    for (const { connection } of this.#attached) connection.destroy();
    this.#attached = NONE;
  }
}

const NONE: readonly Attached[] = [];

/** A connection whose input goes to the protocol. */
class Attached implements ConnectionHandler {
  readonly id: number;
  readonly connection: Connection;
  readonly onWritten: (() => void) | undefined;
  readonly onInputEnded: (() => void) | undefined;
  readonly #driver: Driver;

  constructor(driver: Driver, id: number, connection: Connection) {
    this.#driver = driver;
    this.id = id;
    this.connection = connection;
    this.onWritten = driver.protocol.written === undefined ? undefined : () => this.#written();
    this.onInputEnded = driver.channels.peerEnded === undefined ? undefined : () => this.#inputEnded();
    connection.handler = this;
  }

  onData(chunk: Buffer, isFollowed = false): "enough" | undefined {
    const driver = this.#driver;
    if (!isFollowed && driver.passOn(this.id, chunk)) return undefined;
    driver.channels.receive(this.id, chunk, driver.clock.now());
    if (isFollowed) return undefined;
    driver.run();
    return driver.hooks?.hasHandedEnough === true ? "enough" : undefined;
  }

  onDrain(): void {
    this.#driver.run();
  }

  #written(): void {
    this.#driver.protocol.written?.(this.id);
    this.#driver.run();
  }

  #inputEnded(): void {
    const { channels, clock } = this.#driver;
    channels.peerEnded?.(this.id, clock.now());
    this.#driver.run();
  }

  /** The work is spread over turns: a relay or a switch that fails closes very many connections at once. */
  onClosed(reason: string): void {
    this.#driver.clock.spread((attached) => attached.#lost(reason), this);
  }

  #lost(reason: string): void {
    const { channels, clock } = this.#driver;
    // The connection was dropped meanwhile, and the protocol was told already.
    if (this.#driver.detach(this.id) === undefined) return;
    // A transport that the application made may put text from the peer into the reason.
    channels.connectionClosed(this.id, printable(reason), clock.now());
    this.#driver.run();
  }
}
