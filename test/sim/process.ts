/**
 * A process with its connections and one event loop. While the loop is blocked nothing in it runs; what happens to it
 * meanwhile waits, and is found after the timers, which Node runs first.
 */
import { ownChunk } from "../../src/core/wire/own-chunks.ts";
import type { LinkCore } from "../../src/core/session/link-core.ts";
import { HEAD_BYTES } from "../../src/core/log/sender.ts";
import type { SimSocket } from "../../src/testing/network.ts";
import type { Random } from "./random.ts";
import { Spy } from "./spy.ts";
import type { Stage } from "./stage.ts";
import { springTraps } from "./traps.ts";

/** What answers this leaves nothing to be done in a step, as the short way of the core does. */
export const NO_STEP: unique symbol = Symbol("no step");

/** An end of a link, as far as its process has to know it. */
interface LinkEnd {
  readonly core: LinkCore;
  passOn(channel: number, chunk: Buffer): "all is done" | "a step follows" | undefined;
}

interface Timer {
  /** On the process's own clock. */
  readonly dueMs: number;
  readonly run: () => unknown;
  takeBack: () => void;
}

export abstract class SimProcess {
  readonly stage: Stage;
  readonly name: string;
  readonly random: Random;
  protected readonly sockets = new Map<number, SimSocket>();
  readonly #spy: Spy | undefined;
  /** Those of an earlier life are gone. */
  readonly #timers = new Set<Timer>();
  /** Its clock goes before that of the others. */
  #aheadMs = 0;
  #blocked = false;
  #waiting: Array<() => unknown> = [];
  /** Which life of the process this is: what was begun in an earlier one is dropped. */
  #life = 0;
  #pumping = false;
  #again = false;
  #wake: () => void = () => {};
  #wakeMs = Infinity;

  constructor(stage: Stage, name: string) {
    this.stage = stage;
    this.name = name;
    this.random = stage.stream(name);
    if (stage.verbose) this.#spy = new Spy(stage, name);
  }

  /** On its own clock. */
  get nowMs(): number {
    return this.stage.clock.nowMs + this.#aheadMs;
  }

  get isBlocked(): boolean {
    return this.#blocked;
  }

  /** What must hold after every step. */
  abstract checkBounds(): void;
  /** All that hold memory. */
  abstract links(): Iterable<LinkCore>;
  /** Does everything that can be done now, the core's outputs included. */
  protected abstract step(): void;
  protected abstract get nextTimeoutMs(): number;
  protected abstract tick(): void;
  protected abstract receive(channel: number, chunk: Buffer): void;
  protected abstract connectionClosed(channel: number, reason: string): void;
  /** The end of the link that the connection speaks for. */
  protected abstract endOf(channel: number): LinkEnd | undefined;
  protected abstract transmit(channel: number, roomBytes: number): Buffer[];

  // ── the event loop ──────────────────────────────────────────────────────────────────────────────────────────────

  /** Something happens to this process, and a step follows, unless it answers NO_STEP. */
  input(what: () => unknown): void {
    if (this.#blocked) {
      this.#waiting.push(what);
      return;
    }
    this.stage.touched.add(this);
    if (what() === NO_STEP) this.#schedule();
    else this.pump();
  }

  later(ms: number, what: () => unknown): void {
    const timer: Timer = { dueMs: this.nowMs + ms, run: what, takeBack: () => {} };
    timer.takeBack = this.stage.clock.schedule(ms, () => this.#fire(timer));
    this.#timers.add(timer);
  }

  /** Something that others do comes here after so long, if the process still lives: no clock of its own is asked. */
  hear(ms: number, what: () => void): void {
    const life = this.#life;
    this.stage.clock.schedule(ms, () => {
      if (this.#life === life) this.input(what);
    });
  }

  #fire(timer: Timer): void {
    timer.takeBack();
    if (this.#timers.delete(timer)) this.input(timer.run);
  }

  block(ms: number): void {
    if (this.#blocked) return;
    this.#blocked = true;
    const life = this.#life;
    this.stage.clock.schedule(ms, () => {
      if (this.#life === life) this.unblock();
    });
  }

  unblock(): void {
    if (!this.#blocked) return;
    this.#blocked = false;
    if (this.nowMs >= this.#wakeMs) this.#onWake();
    for (const what of this.#waiting.splice(0)) this.input(what);
    this.#schedule(true);
  }

  /** It was asleep, or its clock was set: so much time has passed for it alone. */
  jump(ms: number): void {
    this.#aheadMs += ms;
    const due = [...this.#timers].filter(({ dueMs }) => dueMs <= this.nowMs);
    for (const timer of due.toSorted((a, b) => a.dueMs - b.dueMs)) this.#fire(timer);
    if (this.#blocked) return;
    if (this.nowMs >= this.#wakeMs) this.#onWake();
    else this.#schedule(true);
  }

  pump(): void {
    this.stage.touched.add(this);
    if (this.#blocked) return;
    if (this.#pumping) {
      this.#again = true;
      return;
    }
    this.#pumping = true;
    do {
      this.#again = false;
      this.step();
    } while (this.#again);
    this.#pumping = false;
    this.#schedule();
  }

  #schedule(anew = false): void {
    const dueMs = this.nextTimeoutMs;
    if (dueMs === this.#wakeMs && !anew) return;
    this.#wake();
    this.#wakeMs = dueMs;
    if (dueMs === Infinity) return;
    this.#wake = this.stage.clock.schedule(dueMs - this.nowMs, () => {
      if (!this.#blocked) this.#onWake();
    });
  }

  #onWake(): void {
    this.#wake();
    this.#wakeMs = Infinity;
    this.stage.touched.add(this);
    this.tick();
    this.pump();
  }

  /** Dies and forgets everything. */
  protected die(): void {
    this.stage.touched.add(this);
    this.#life++;
    for (const { takeBack } of this.#timers) takeBack();
    this.#timers.clear();
    this.#waiting = [];
    this.#blocked = false;
    this.#wake();
    this.#wakeMs = Infinity;
    for (const socket of this.sockets.values()) socket.destroy();
    this.sockets.clear();
  }

  // ── connections ─────────────────────────────────────────────────────────────────────────────────────────────────

  /** Answers the channel that the core is to know it by. */
  protected addSocket(socket: SimSocket): number {
    const channel = this.stage.newChannel(socket.wire);
    this.sockets.set(channel, socket);
    const input = (what: () => unknown): void => {
      if (this.sockets.has(channel)) this.input(() => this.sockets.has(channel) && what());
    };
    socket.events = {
      onData: (chunk) =>
        input(() => {
          this.#spy?.sees("received", channel, chunk);
          const bytes = amid(chunk, this.stage.options.slackBytes);
          const passed = this.endOf(channel)?.passOn(channel, bytes);
          if (passed === undefined) this.receive(channel, bytes);
          return passed === "all is done" ? NO_STEP : undefined;
        }),
      onClose: (reason) =>
        input(() => {
          this.sockets.delete(channel);
          this.connectionClosed(channel, reason);
        }),
      onDrain: () => input(() => {}),
    };
    return channel;
  }

  /** The core has said so, and hears no more of it. */
  protected closeSocket(channel: number, last: readonly Buffer[] | undefined): void {
    const socket = this.sockets.get(channel);
    this.sockets.delete(channel);
    if (last === undefined) {
      socket?.destroy();
      return;
    }
    for (const bytes of last) if (socket !== undefined) this.write(channel, socket, bytes);
    socket?.end();
  }

  protected transmitAll(): void {
    for (const [channel, socket] of this.sockets) {
      // A socket here copies what it is given, at once.
      this.endOf(channel)?.core.session.sender.recycle(0);
      for (let room = socket.roomBytes; room > 0; room = socket.roomBytes) {
        const out = this.transmit(channel, room);
        if (out.length === 0) break;
        this.write(channel, socket, Buffer.concat(out));
      }
    }
  }

  /**
   * Gives the core a small piece by its short way, as the product's driver does. Answers what writes it; undefined: nothing
   * was taken.
   */
  takeNow(core: LinkCore, piece: Buffer): (() => void) | undefined {
    const channel = core.adopted?.id;
    const socket = channel === undefined ? undefined : this.sockets.get(channel);
    if (channel === undefined || socket === undefined || core.events.length > 0) return undefined;
    if (socket.roomBytes <= piece.length - HEAD_BYTES) return undefined;
    const out = core.transmitNow(channel, piece.readUInt32BE(0), piece, HEAD_BYTES, piece.length, this.nowMs);
    if (out === undefined) return undefined;
    if (out.length > 1) this.stage.count("an ACK was written with a piece");
    return () => this.write(channel, socket, Buffer.concat(out));
  }

  protected write(channel: number, socket: SimSocket, bytes: Buffer): void {
    this.#spy?.sees("wrote", channel, bytes);
    if (this.stage.traps.size === 0) return socket.write(bytes);
    const sprung = springTraps(this.stage.traps, socket, bytes);
    for (const trap of sprung) trap.before(socket);
    socket.write(bytes);
    for (const trap of sprung) trap.after(socket);
  }
}

/** In memory of its own; and as if a peer had put other things around it, or a transport had one large buffer for all. */
function amid(chunk: Buffer, slackBytes: number): Buffer {
  const memory = Buffer.allocUnsafeSlow(chunk.length + slackBytes);
  chunk.copy(memory, 0);
  // Whoever has a view of it when all of it was copied finds nothing there any more.
  ownChunk(memory.buffer);
  return memory.subarray(0, chunk.length);
}
