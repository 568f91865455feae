/**
 * The core of a server, with all its links: it reads the frames with which connections introduce themselves, and
 * answers them until they speak for a session. `link-core.ts` is the core of one link once it has a connection.
 */
import { commit, mayOwn, refuseAnother, resume, shed, standBy } from "./takeover.ts";
import type { FrameTaker } from "../session/channel.ts";
import type { AuthenticateEvent } from "./entrance.ts";
import { type Fault, fault } from "../wire/faults.ts";
import { type Frame, type HelloFrame, PROTOCOL_VERSION } from "../wire/frames.ts";
import { FIRST_BYTES, looksLike } from "../wire/strangers.ts";
import { type Entropy, ownerOf, type Provable } from "../session/proof.ts";
import type { Handshake, ResetFrame } from "./handshake-table.ts";
import type { ServerLinkCore } from "./link-core.ts";
import { introduce, isAnswerFor, sessionOf } from "./introduction.ts";
import { confirm, open, welcomeProvisional } from "./opening.ts";
import {
  type StoreAnswer,
  askStore,
  heedStore,
  isAskedAbout,
  namedBy,
  proves,
  restore,
  takeCommit,
} from "./shared-store.ts";
import type { SessionSnapshot } from "../session/snapshot.ts";
import { fetchBack, giveUpForward, isElsewhere, sendOn, toElsewhere } from "./elsewhere.ts";
import {
  type AdoptEvent,
  type ElsewhereEvent,
  type Refusable,
  type ServerCoreEvent,
  type ServerCoreOptions,
  ServerState,
} from "./state.ts";

export type { AdoptEvent, AuthenticateEvent, ElsewhereEvent, ServerCoreEvent, ServerCoreOptions, StoreAnswer };

/** `refused`: refused for good, with the reason, or empty. "unavailable": authentication was not possible now. */
export type CheckedVerdict = { identity: string; claims: unknown } | { refused: string } | "unavailable";

export class ServerCore {
  readonly events: ServerCoreEvent[];
  readonly #state: ServerState;

  constructor(options: ServerCoreOptions, entropy: Entropy) {
    this.#state = new ServerState(options, entropy);
    this.events = this.#state.events;
  }

  /** How many connections there are in each of the two states, and how many sessions. */
  get handshakes(): number {
    return this.#state.handshakes.size;
  }

  get attached(): number {
    return this.#state.attached.size;
  }

  /** Connections that are forwarded to other servers. */
  get forwarding(): number {
    return this.#state.handshakes.forwards.size;
  }

  /** Calls of the application's function that are under way. */
  get authenticating(): number {
    return this.#state.entrance.authenticating;
  }

  get sessions(): number {
    return this.#state.sessions.size;
  }

  get unconfirmed(): number {
    return this.#state.sessions.unconfirmed;
  }

  links(): IterableIterator<ServerLinkCore> {
    return this.#state.sessions.links();
  }

  /**
   * The server will be gone in `deadlineMs`: opens are refused from now on. Clients whose sessions are open go on until
   * `sendElsewhere()` is called for their links; a session that is confirmed later is sent elsewhere at once.
   */
  drain(deadlineMs: number, nowMs: number): void {
    this.#state.goneMs = nowMs + deadlineMs;
  }

  /** Asks the link's client to go on elsewhere, and tells it the time that is left. Throws before `drain()`. */
  sendElsewhere(link: ServerLinkCore, nowMs: number): void {
    const { goneMs } = this.#state;
    if (goneMs === undefined) throw new Error("the server does not go away");
    link.goAway(Math.max(0, goneMs - nowMs));
  }

  /**
   * Asks the client of a live link to come back after `retryAfterMs`: at most half a minute, and half of the time that a
   * session waits. The session waits as after any loss of its connection, and a client that comes before its time is
   * refused with what is left. Answers the time that the client was told. Undefined, and nothing has happened, if the
   * link has no connection or is about to end, or the server goes away. Throws a RangeError if the time is NaN.
   */
  shed(link: ServerLinkCore, retryAfterMs: number, nowMs: number): number | undefined {
    return shed(this.#state, link, retryAfterMs, nowMs);
  }

  /** From now on these are refused as overloaded, for that reason, and told when to come back. "": not any more. */
  refuse(what: Refusable, why: string): void {
    this.#state.refusing[what] = why;
  }

  /**
   * Turns away connections that have not said HELLO, those that are here longest first. Answers how many.
   *
   * @param most of them
   */
  dropSilent(most: number, nowMs: number): number {
    return this.#state.entrance.dropSilent(most, nowMs);
  }

  // ── connections ─────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * @param peer the part of the client's address that has a share of its own; "" if it is unknown
   * @param isForwarded another server has forwarded the connection: this one does not
   */
  connectionOpened(id: number, peer: string, nowMs: number, isForwarded = false): void {
    const { entrance, handshakes, taken } = this.#state;
    entrance.open(id, peer, taken, nowMs);
    const handshake = handshakes.get(id);
    if (handshake !== undefined) handshake.isForwarded = isForwarded;
  }

  connectionClosed(id: number, reason: string, nowMs: number): void {
    const { attached, handshakes, sessions } = this.#state;
    const state = handshakes.get(id)?.state;
    if (state?.name === "confirming") sessions.keep(state.link, nowMs);
    if (handshakes.lost(id)) return;
    handshakes.forwardEnded(id);
    attached.get(id)?.connectionClosed(id, reason, nowMs);
    this.#state.detach(id);
  }

  receive(id: number, chunk: Buffer, nowMs: number): void {
    const { attached, handshakes } = this.#state;
    const link = attached.get(id);
    if (link !== undefined) return link.receive(id, chunk, nowMs);
    const handshake = handshakes.get(id);
    if (handshake === undefined || handshake.channel.closed) return;
    const { channel } = handshake;
    const taker: FrameTaker = {
      onFrame: (_, frame) => this.#onFrame(handshake, frame, nowMs),
      onData: (_, offset, bytes, flags) =>
        handshake.link === undefined
          ? fault("bad-frame", "DATA before the handshake was over")
          : handshake.link.onData(channel, offset, bytes, flags),
    };
    // A copy, as the decoder may free the chunk. A client that has introduced itself is no stranger.
    const first = handshake.state.name === "silent" ? Buffer.from(chunk.subarray(0, FIRST_BYTES)) : undefined;
    const problem = channel.receive(chunk, taker, nowMs);
    if (problem === undefined || channel.closed) return;
    const isStranger = first !== undefined && handshake.state.name === "silent";
    const told = isStranger ? fault(problem.code, `${problem.detail}${looksLike(first)}`) : problem;
    if (handshake.link === undefined) handshakes.close(handshake, problem.code, told);
    else handshake.link.onFault(channel, problem, nowMs);
  }

  /** One chunk can hold the last frames of a handshake and the first of the session. */
  #onFrame(handshake: Handshake, frame: Frame, nowMs: number): Fault | undefined {
    const { channel, state } = handshake;
    if (handshake.link !== undefined) return handshake.link.onFrame(channel, frame, nowMs);
    switch (frame.type) {
      case "ping":
        channel.owePong(frame.token);
        return undefined;
      case "pong":
        return undefined;
      case "hello":
      case "standby":
        return this.#onHello(handshake, frame, nowMs);
      case "reset":
        if (state.name === "authenticating") state.reset = frame;
        if (state.name === "adopting" && state.request.by === "resume") state.request.reset = frame;
        if (state.name !== "confirming") return undefined;
        state.link.forgetProvisional();
        this.#state.handshakes.close(handshake, "reset before it was confirmed", undefined);
        return undefined;
      case "confirm":
        return confirm(this.#state, handshake, frame.mac, nowMs);
      case "commit":
        takeCommit(this.#state, handshake, frame.positions, nowMs);
        return undefined;
      default:
        return fault("bad-frame", `unexpected ${frame.type} frame`);
    }
  }

  #onHello(handshake: Handshake, frame: HelloFrame, nowMs: number): Fault | undefined {
    const { handshakes, options } = this.#state;
    const { version, mode, maxMessageBytes, sessionId } = frame.hello;
    const mismatch =
      version !== PROTOCOL_VERSION
        ? `version ${version} of the protocol, where this server has ${PROTOCOL_VERSION}`
        : mode === options.mode
          ? undefined
          : `mode "${mode}", where this server has "${options.mode}"`;
    if (mismatch !== undefined) {
      handshakes.refuse(handshake, "mismatch", mismatch, 0, { told: mismatch });
      return undefined;
    }
    if (maxMessageBytes === 0) return fault("bad-frame", "a largest message of 0 bytes");
    handshake.sessionId = sessionId;
    if (isElsewhere(this.#state, handshake, frame)) sendOn(this.#state, handshake, frame, nowMs);
    else introduce(this.#state, handshake, frame, nowMs);
    return undefined;
  }

  /** Takes the answer to an "authenticate" event, now or later. Everything is checked as if HELLO had arrived now. */
  authenticated(id: number, verdict: CheckedVerdict, nowMs: number): void {
    this.#state.entrance.answered(id, nowMs);
    this.#onVerdict(id, verdict, nowMs);
    this.#state.entrance.proceed(nowMs);
  }

  #onVerdict(id: number, verdict: CheckedVerdict, nowMs: number): void {
    const state = this.#state;
    const handshake = state.handshakes.get(id);
    if (handshake?.state.name !== "authenticating") return;
    const { said, reset, link: asked } = handshake.state;
    const link = sessionOf(state, said);
    if (!isAnswerFor(state, handshake, said, link, asked, nowMs)) return;
    if (verdict === "unavailable") {
      link?.extend(ownerOf(said.hello), nowMs);
      state.entrance.comeBackLater(handshake, "authentication-unavailable", "no verdict", nowMs);
    } else if ("refused" in verdict) {
      const { refused } = verdict;
      const reason = refused === "" ? "refused" : refused;
      state.handshakes.refuse(handshake, "authentication", reason, 0, { told: refused });
    } else {
      const { identity } = verdict;
      handshake.claims = verdict.claims;
      if (isAskedAbout(state, said, link)) {
        return askStore(state, handshake, { by: "resume", said, reset, link: asked, identity }, nowMs);
      }
      this.#onAuthenticated(handshake, said, link, identity, nowMs);
    }
    this.#takeReset(handshake, reset, nowMs);
  }

  /** Takes the RESET that came right behind a HELLO. */
  #takeReset(handshake: Handshake, reset: ResetFrame | undefined, nowMs: number): void {
    if (reset !== undefined && !handshake.channel.closed) this.#onFrame(handshake, reset, nowMs);
  }

  #onAuthenticated(
    handshake: Handshake,
    said: HelloFrame,
    link: ServerLinkCore | undefined,
    identity: string,
    nowMs: number,
  ): void {
    if (said.type === "standby") standBy(this.#state, handshake, said, link, identity, nowMs);
    else if (said.hello.resume) this.#onResume(handshake, said, link, identity, nowMs);
    else open(this.#state, handshake, said.hello, said.hello.sessionId, identity, "new", nowMs);
  }

  /** `link`: undefined if the session is not known. */
  #onResume(
    handshake: Handshake,
    said: HelloFrame,
    link: ServerLinkCore | undefined,
    identity: string,
    nowMs: number,
  ): void {
    const state = this.#state;
    const { hello } = said;
    if (link === undefined) {
      const { fallback } = hello;
      if (fallback !== undefined) return open(state, handshake, hello, fallback.id, identity, "lost", nowMs);
      return state.handshakes.refuse(handshake, "session-lost", "unknown session", 0);
    }
    if (link.identity !== identity) return refuseAnother(state, handshake);
    const owner = ownerOf(hello);
    if (!mayOwn(state, handshake, link, owner, nowMs)) return;
    switch (link.session.phase) {
      case "provisional":
        return welcomeProvisional(state, handshake, hello, link, "resumed", nowMs);
      case "reset":
        handshake.channel.send(link.resetAnswer());
        return state.handshakes.close(handshake, "reset", undefined);
      case "live":
      case "done":
        return resume(state, handshake, said, link, owner, nowMs);
      case "gone":
        throw new Error("a session that is gone is still in the table");
    }
  }

  // ── servers that forward connections to each other ──────────────────────────────────────────────────────────────

  /**
   * The server of an "elsewhere" event was reached, and has the connection from now on. Answers the bytes that it is to
   * have first. Whatever comes later on the connection is for that server as well; only its close is told here.
   * Undefined if the connection does not wait any more.
   */
  forwarded(id: number): Buffer[] | undefined {
    return toElsewhere(this.#state, id);
  }

  /** There is no such server any more: its sessions are unknown. */
  nobodyThere(id: number, nowMs: number): void {
    const waiting = fetchBack(this.#state, id);
    if (waiting === undefined) return;
    introduce(this.#state, waiting.handshake, waiting.said, nowMs);
    if (waiting.rest.length > 0) this.receive(id, waiting.rest, nowMs);
  }

  /** The server may be there, and did not take the connection: the client comes back later. */
  notForwarded(id: number, reason: string, nowMs: number): void {
    giveUpForward(this.#state, id, reason, nowMs);
  }

  // ── a store that other processes share ──────────────────────────────────────────────────────────────────────────

  /**
   * Answers whether the connection that waits for the answer to an "adopt" event may have the session that the store
   * has, as far as its proof says so. To be asked before the store's conditional write: who cannot prove that the
   * session is its own takes it from nobody. False if the connection does not wait any more.
   */
  mayAdopt(id: number, stored: Provable): boolean {
    return proves(this.#state, id, stored);
  }

  /**
   * Takes the answer to an "adopt" event, now or later. Everything is checked as if the frame had arrived now. If the
   * connection does not wait any more, the answer changes nothing.
   */
  adopted(id: number, answer: StoreAnswer, nowMs: number): void {
    const state = this.#state;
    const handshake = state.handshakes.get(id);
    if (handshake?.state.name !== "adopting") return;
    const { request, token } = handshake.state;
    state.handshakes.adopted(handshake);
    if (!heedStore(state, handshake, request, token, answer, nowMs)) return;
    if (request.by === "resume") {
      const { said, reset, link: asked, identity } = request;
      const link = sessionOf(state, said);
      if (!isAnswerFor(state, handshake, said, link, asked, nowMs)) return;
      this.#onAuthenticated(handshake, said, link, identity, nowMs);
      this.#takeReset(handshake, reset, nowMs);
    } else {
      const { id: sessionId, incarnation, owner } = namedBy(request);
      const link = state.sessions.find(sessionId, incarnation) ?? request.link;
      commit(state, handshake, link, owner, request.positions, nowMs);
    }
  }

  /**
   * Goes on with a session that a snapshot was taken of, and that waits for its client now. No limit on sessions and no
   * admission keeps it out, since it was let in before; it counts for sessions that come later. There is a "restored"
   * event. Throws if the session is here already.
   */
  restore(snapshot: SessionSnapshot, nowMs: number): ServerLinkCore {
    return restore(this.#state, snapshot, nowMs);
  }

  // ── time and output ─────────────────────────────────────────────────────────────────────────────────────────────

  /** When the server has something to do. Each link has a timeout of its own. */
  get nextTimeoutMs(): number {
    const { entrance, handshakes, sessions } = this.#state;
    return Math.min(handshakes.nextTimeoutMs, sessions.nextTimeoutMs, entrance.nextTimeoutMs);
  }

  tick(nowMs: number): void {
    // First refuse the clients that are told when to come back, then close those that are told nothing.
    const { entrance, handshakes, sessions } = this.#state;
    entrance.tick(nowMs);
    handshakes.tick(nowMs);
    sessions.tick(nowMs);
  }

  transmit(id: number, roomBytes: number, nowMs: number): Buffer[] {
    const { attached, handshakes } = this.#state;
    const link = attached.get(id);
    return link === undefined ? handshakes.transmit(id) : link.transmit(id, roomBytes, nowMs);
  }
}
