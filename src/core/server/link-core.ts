/** The core of one link at a server: its session waits for the client while it has no connection. */
import { type Comings, noComings } from "./admission.ts";
import type { Channel, FrameTaker } from "../session/channel.ts";
import { type Fault, fault } from "../wire/faults.ts";
import { frameMask } from "../wire/frame-rules.ts";
import {
  encodeGoaway,
  encodeLater,
  encodePositionsFrame,
  encodeReset,
  encodeWelcome,
  type Frame,
  type HelloFrame,
  type Positions,
  type Welcome,
} from "../wire/frames.ts";
import { compareOwners, confirmMac, type Entropy, isFor, type Owner, type SessionKeys } from "../session/proof.ts";
import { type Closing, LinkCore } from "../session/link-core.ts";
import type { LinkCoreOptions } from "../session/link-events.ts";
import { Session } from "../session/session.ts";
import { restoreSession, type SessionSnapshot, snapshotOf } from "../session/snapshot.ts";

export const ADOPTED_FRAMES: number = frameMask("data", "ack", "ping", "pong", "reset", "confirm");
export interface ServerLinkCoreOptions extends LinkCoreOptions {
  /** How long a session waits for its client. */
  resumeForMs: number;
}

/** A client's connection that brings no byte for so long is closed; the session stays. */
const SILENT_MS = 120_000;
/**
 * A client that is to come back, now or later, has so long to close its connection. What it sends meanwhile is read and
 * dropped: bytes that are not read when a socket is closed make TCP reset the connection, and the word is lost with it.
 */
const SHED_LINGER_MS = 1_000;

export class ServerLinkCore extends LinkCore implements FrameTaker {
  declare protected readonly options: ServerLinkCoreOptions;
  readonly identity: string;
  readonly openPayload: Buffer;
  owner: Owner;
  /** The claims of the verdict on the connection in use, or on the last one. */
  claims: unknown;
  /**
   * The store's number for this process's hold on the session: it rises whenever the session comes to another process,
   * or here again. Undefined without a store, and until the store has the session. The caller sets it.
   */
  token: number | undefined;
  /** The nonce of the newest WELCOME, until the client has sent a frame other than CONFIRM. */
  nonce: Buffer | undefined;
  /** The address of the client, by which its connection in use counts, or the last one did. */
  peer = "";
  /** How often its client has come back lately; undefined until it does. */
  comings: Comings | undefined;
  /** Takes the session out of the server's table. */
  onForgotten: (link: ServerLinkCore) => void = () => {};
  /** A connection does not speak for the link any more. */
  onDetached: (channel: number) => void = () => {};
  #goesAway = false;
  #untilMs = Infinity;
  #wasAttached = false;

  constructor(
    options: ServerLinkCoreOptions,
    keys: SessionKeys,
    incarnation: string,
    client: { identity: string; openPayload: Buffer; owner: Owner },
    entropy: Entropy,
  ) {
    super(options, new Session(keys, options), entropy);
    this.session.incarnation = incarnation;
    this.session.phase = "provisional";
    this.identity = client.identity;
    this.openPayload = client.openPayload;
    this.owner = client.owner;
  }

  /** Whether the frame is for this session, and its client has proven that it knows the secret: see `isFor()`. */
  isFor(said: HelloFrame): boolean {
    const { keys, incarnation } = this.session;
    return isFor(this.entropy, said, { keys, incarnation, openPayload: this.openPayload });
  }

  /** The session as plain data, for a store. Undefined if no process could go on with it: see `snapshotOf()`. */
  snapshot(): SessionSnapshot | undefined {
    return snapshotOf(this.session, this);
  }

  /** Goes on with a session that a snapshot was taken of. It waits for its client. */
  restore(snapshot: SessionSnapshot, nowMs: number): void {
    restoreSession(this.session, snapshot);
    this.#wasAttached = true;
    this.#awaitClient(nowMs);
  }

  isConfirmed(mac: Buffer, nonce: Buffer): boolean {
    const { keys, incarnation } = this.session;
    return this.entropy.equal(mac, confirmMac(this.entropy, keys, incarnation, nonce));
  }

  welcome(result: Welcome["result"], nonce: Buffer): Buffer {
    return encodeWelcome({
      result,
      incarnation: this.session.incarnation,
      nonce,
      positions: this.session.positions(),
      goaway: this.#goesAway,
      maxMessageBytes: this.maxMessageBytes,
      resumeForMs: this.options.resumeForMs,
    });
  }

  confirm(): void {
    this.session.to("confirmed");
  }

  /** Forgets the session if nobody has confirmed it. No application is told, since none has heard of it. */
  forgetProvisional(): void {
    if (this.session.phase !== "provisional") return;
    this.session.to("forgotten");
    this.session.release();
    this.onForgotten(this);
  }

  /**
   * The newest connection fences the older one. The caller answers it before `checkThrough()`, which may end a
   * tombstone.
   */
  takeOver(channel: Channel, positions: Positions, late: boolean, nowMs: number): Fault | undefined {
    const old = this.adopted;
    this.inUse = undefined;
    if (old !== undefined) this.closeChannel(old, "fenced by a newer connection", { flush: true });
    const problem = this.session.adopt(positions, late);
    if (problem !== undefined) return problem;
    this.adopt(channel, nowMs);
    const session = old === undefined && !this.#wasAttached ? "new" : "resumed";
    this.#wasAttached = true;
    this.events.push({ type: "connected", channel: channel.id, session, reason: late ? "standby" : session });
    return undefined;
  }

  protected override closeChannel(channel: Channel, reason: string, closing?: Closing): void {
    super.closeChannel(channel, reason, closing);
    this.onDetached(channel.id);
  }

  sendCommitted(channel: Channel): void {
    channel.send(encodePositionsFrame("committed", this.session.positions(), this.#goesAway));
  }

  /**
   * The server will be gone in `deadlineMs`. It tells the client so, again on each new connection. A byte stream
   * cannot go on in another session: its application ends it.
   */
  goAway(deadlineMs: number): void {
    if (this.session.phase !== "live" || this.#goesAway || this.options.mode === "bytes") return;
    this.#goesAway = true;
    this.adopted?.send(encodeGoaway(deadlineMs));
    this.events.push({ type: "leaving" });
  }

  /**
   * The client can be asked to come back later. Not one that is to go on elsewhere, or whose link is about to end: an
   * end of a direction was said by either side, or a reader was closed.
   */
  get maySendAway(): boolean {
    const { phase, receiver, sender, peerStopped } = this.session;
    const isEnding = sender.ended || receiver.endKind !== "none" || receiver.stopped || peerStopped;
    return this.adopted !== undefined && phase === "live" && !this.#goesAway && !isEnding;
  }

  /**
   * Asks the client to come back after `retryAfterMs`, and lets go of its connection. Positions are stated again when it
   * is back, so nothing that is under way has to arrive. The caller has checked `maySendAway`.
   */
  sendAway(retryAfterMs: number, nowMs: number): void {
    const { adopted } = this;
    if (adopted === undefined) throw new Error("no client is connected");
    this.comings ??= noComings();
    this.comings.awayUntilMs = nowMs + retryAfterMs;
    adopted.send(encodeLater(retryAfterMs));
    this.#giveUp(adopted, "shed", nowMs);
  }

  /** Lets go of the connection of a session that goes on: the client is to come back, and to say again who it is. */
  askWho(reason: string, nowMs: number): void {
    const { adopted } = this;
    if (this.session.phase !== "live") return;
    this.comings ??= noComings();
    this.comings.asks++;
    if (adopted !== undefined) this.#giveUp(adopted, reason, nowMs);
  }

  /** How often its client was asked so. A verdict from before the last time is none any more. */
  get asks(): number {
    return this.comings?.asks ?? 0;
  }

  #giveUp(channel: Channel, reason: string, nowMs: number): void {
    this.closeChannel(channel, reason, { flush: true, lingerMs: SHED_LINGER_MS });
    this.dropAdopted(reason, nowMs);
  }

  /** How long its client was asked to stay away still; 0 if it may come. */
  awayForMs(nowMs: number): number {
    return Math.max(0, (this.comings?.awayUntilMs ?? nowMs) - nowMs);
  }

  // ── what a server that is overloaded may do without ────────────────────────────────────────────────────────────

  /** Since when bytes that were written have made no progress: the client has received none. Infinity: there are none. */
  get stalledSinceMs(): number {
    return this.inUse?.waitingSinceMs ?? Infinity;
  }

  /** Bytes that were written on the connection in use, and that the client has not reported received. */
  get inFlightBytes(): number {
    const { sentNow, peerReceived } = this.session.sender;
    return this.adopted === undefined ? 0 : sentNow - peerReceived;
  }

  /** What its client has under way towards us above the link's guaranteed minimum. */
  get sharedIncomingBytes(): number {
    const { receiver, windowAllowance } = this.session;
    return receiver.stopped ? 0 : Math.max(0, receiver.unacceptedBytes - windowAllowance.floor);
  }

  /**
   * When the client was last here, of a session that waits for it and could go on. Infinity: it does not wait, or its
   * client was asked to come back later, and that time has not come.
   */
  waitsSinceMs(nowMs: number): number {
    const waits = this.session.phase === "live" && this.adopted === undefined && this.awayForMs(nowMs) === 0;
    return waits ? this.#lastHereMs : Infinity;
  }

  /**
   * Forgets what was received and not handed out, of a session that waits: the client sends it again when it is back,
   * and learns of that from the positions that are stated to it then. Answers how many bytes.
   */
  forgetReceived(): number {
    const bytes = this.forgettableBytes;
    if (bytes > 0) this.session.receiver.forget();
    return bytes;
  }

  /** So many bytes could be forgotten. */
  get forgettableBytes(): number {
    const { phase, receiver } = this.session;
    return phase !== "live" || this.adopted !== undefined || receiver.stopped ? 0 : receiver.readableBytes;
  }

  /** Ends a session that waits, as its server lacks memory: its client is told that it is lost when it is back. */
  evict(): void {
    if (this.session.phase !== "live" || this.adopted !== undefined) return;
    this.tellOutcome(this.session.nothingToLose ? "closed" : "session-lost", "", "the server had too little memory");
    this.becomeGone("evicted");
  }

  /** If the client has ended to go on elsewhere, our direction ends so too, once the application was shown that end. */
  protected override get endKind(): "final" | "moved" {
    const { receiver } = this.session;
    return receiver.endKind === "moved" && receiver.endReached ? "moved" : "final";
  }

  /** The client has stated a position that this session cannot have: both ends end it. */
  onImpossibleResume(channel: Channel, problem: Fault, nowMs: number): void {
    channel.send(encodeReset("protocol", this.session.receiver.committed, ""));
    this.#awaitClient(nowMs);
    this.fail(problem, nowMs);
  }

  /** The answer of a tombstone that was reset to every resume. */
  resetAnswer(): Buffer {
    return this.resetFrame;
  }

  /**
   * The client has proven that it is there, and could not be let in now: the session waits for it for the full time
   * again.
   */
  extend(owner: Owner, nowMs: number): void {
    if (this.adopted !== undefined || this.session.phase === "provisional") return;
    if (compareOwners(owner, this.owner) === "newer") this.#awaitClient(nowMs);
  }

  connectionClosed(id: number, reason: string, nowMs: number): void {
    if (this.adopted?.id !== id) return;
    this.adopted.close();
    this.dropAdopted(reason, nowMs);
  }

  receive(id: number, chunk: Buffer, nowMs: number): void {
    const { inUse } = this;
    if (inUse?.channel.id !== id || inUse.channel.closed) return;
    const { channel } = inUse;
    inUse.onHeard(nowMs);
    const problem = channel.receive(chunk, this, nowMs);
    if (problem !== undefined && !channel.closed) this.onFault(channel, problem, nowMs);
  }

  /** Takes a frame of the connection in use. */
  onFrame(channel: Channel, frame: Frame, nowMs: number): Fault | undefined {
    if (channel !== this.adopted) return fault("bad-frame", "a frame on a connection that is not in use");
    // A PING may have been on its way when WELCOME was written, so it may come before CONFIRM.
    if (frame.type === "ping" || frame.type === "pong") return this.onAdoptedFrame(channel, frame, nowMs);
    const { nonce } = this;
    this.nonce = undefined;
    if (frame.type !== "confirm") return this.onAdoptedFrame(channel, frame, nowMs);
    // CONFIRM may be repeated, since the client cannot know that the first one arrived. If somebody replays the bytes
    // of another session here, the MAC of CONFIRM shows it before any DATA is taken.
    if (nonce === undefined) return fault("bad-frame", "CONFIRM to no WELCOME");
    return this.isConfirmed(frame.mac, nonce) ? undefined : fault("wrong-proof", "wrong MAC in CONFIRM");
  }

  onData(channel: Channel, offset: number, bytes: Buffer, flags: number): Fault | undefined {
    if (channel !== this.adopted) return fault("bad-frame", "DATA on a connection that is not in use");
    this.nonce = undefined;
    return this.onAdoptedData(offset, bytes, flags);
  }

  protected get isSettled(): boolean {
    return this.nonce === undefined;
  }

  protected override onDisconnected(nowMs: number): void {
    this.session.loseConnection();
    this.#awaitClient(nowMs);
  }

  /**
   * When the client was last here, if it has lost its connection and may not know yet that both directions are
   * complete; else -Infinity.
   */
  get missesEndSinceMs(): number {
    const isAway = this.session.phase === "done" && this.adopted === undefined;
    return isAway ? this.#lastHereMs : -Infinity;
  }

  get #lastHereMs(): number {
    return this.#untilMs - this.options.resumeForMs;
  }

  #awaitClient(nowMs: number): void {
    this.#untilMs = nowMs + this.options.resumeForMs;
    this.timers.clear("reset-answer");
    this.timers.set("expiry", this.#untilMs);
  }

  protected override onExpiry(nowMs: number): void {
    if (nowMs < this.#untilMs) return this.timers.set("expiry", this.#untilMs);
    if (this.session.phase === "live") {
      const outcome = this.session.nothingToLose ? "closed" : "expired";
      this.tellOutcome(outcome, "", "its client did not come back in time");
    }
    this.becomeGone("expired");
  }

  /** The client has not echoed our reset: the tombstone answers it when the client comes back. */
  protected override onResetUnanswered(nowMs: number): void {
    this.dropAdopted("reset was not answered", nowMs);
  }

  protected override onResetWithoutConnection(): void {
    this.timers.clear("reset-answer");
    this.timers.set("expiry", this.#untilMs);
  }

  protected override onPeerHandlerFailed(): boolean {
    return false;
  }

  /** A server dials no standby. It sends a PING, and closes a connection that stays silent for too long. */
  protected override onSuspect(reason: string, nowMs: number): void {
    if (this.session.phase === "live") this.events.push({ type: "suspect", reason });
    this.onSilenceTimer(nowMs);
  }

  protected override onSilenceTimer(nowMs: number): void {
    if (this.inUse === undefined) return;
    const deadMs = this.inUse.heardMs + SILENT_MS;
    if (nowMs >= deadMs) this.dropAdopted("silent", nowMs);
    else this.inUse.timers.set("silence", deadMs);
  }

  protected override onRecovered(): void {
    this.inUse?.timers.clear("silence");
    super.onRecovered();
  }

  protected override onGone(): void {
    this.onForgotten(this);
  }

  transmit(id: number, roomBytes: number, nowMs: number): Buffer[] {
    const { inUse } = this;
    return inUse?.channel.id === id ? this.transmitInUse(inUse, roomBytes, true, nowMs) : [];
  }
}
