/**
 * The short way of a small piece of a byte stream through a link, where nothing else is to be done: what `receive()`,
 * `transmit()` and a step do as well, with far less. A piece on its way from one socket to another is delayed by each of
 * those, the more as the processor's caches are cold: the kernel and other processes have worked since the last piece.
 */
import type { Fault } from "../wire/faults.ts";
import { ACK_BYTES, type Positions } from "../wire/frames.ts";
import type { Channel } from "./channel.ts";
import type { ConnectionInUse } from "./connection-in-use.ts";
import { SessionHolder } from "./session-holder.ts";

export abstract class ShortWay extends SessionHolder {
  /** The connection that speaks for the session. */
  protected inUse: ConnectionInUse | undefined;
  /** The chunk that receiveNow() was given last began with an ACK. */
  #hasAck = false;

  /** No step of a handshake or a takeover is still to come on the connection in use. */
  protected abstract readonly isSettled: boolean;

  /** If it answers a fault, it has changed nothing. */
  protected abstract onAck(channel: Channel, positions: Positions, nowMs: number): Fault | undefined;

  /** See `Protocol.receiveNow()`. */
  receiveNow(id: number, chunk: Buffer, clock: { now(): number }): Buffer | undefined {
    const { inUse } = this;
    if (inUse?.channel.id !== id || !this.isSettled) return undefined;
    const ack = inUse.channel.decoder.leadingAck(chunk);
    this.#hasAck = ack !== undefined;
    if (ack === undefined) return inUse.receiveNow(this.session, chunk, 0);
    // If the rest of the chunk is for receive(), that takes the ACK again, and finds nothing new in it.
    const problem = this.onAck(inUse.channel, ack, clock.now());
    return problem === undefined ? inUse.receiveNow(this.session, chunk, ACK_BYTES) : undefined;
  }

  /** See `Protocol.receivedNow()`. */
  receivedNow(isAccepted: boolean, nowMs: number): boolean {
    const { inUse, session } = this;
    // Also if the connection was lost meanwhile: nothing else accepts it.
    if (isAccepted) this.accept(session.receiver.handed);
    if (inUse === undefined || session.phase !== "live") return true;
    inUse.receivedNow(this.options.ackDelayMs, nowMs);
    return this.#hasAck || session.ackOwed === "turn";
  }

  /** See `Protocol.transmitNow()`. */
  transmitNow(id: number, head: number, memory: Buffer, from: number, to: number, nowMs: number): Buffer[] | undefined {
    const { inUse } = this;
    if (inUse?.channel.id !== id || !this.isSettled) return undefined;
    return inUse.transmitNow(this.session, head, memory, from, to, nowMs);
  }
}
