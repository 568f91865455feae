/**
 * The core of a server, with all its links: it decides which session a connection may speak for, and answers it until
 * then. `link-core.ts` is the core of one link once it has a connection.
 */
import type { FrameTaker } from "../session/channel.ts";
import { type AuthenticateEvent, Entrance, type EntranceOptions, whoOf } from "./entrance.ts";
import { type Fault, fault } from "../wire/faults.ts";
import {
  encodeReady,
  encodeRefuse,
  type Frame,
  type Hello,
  type HelloFrame,
  NONCE_BYTES,
  type Positions,
  PROTOCOL_VERSION,
  type Welcome,
} from "../wire/frames.ts";
import { compareOwners, type Entropy, type Owner, ownerOf, secretBytes } from "../session/proof.ts";
import { type Handshake, type HandshakeEvent, HandshakeTable } from "./handshake-table.ts";
import { ADOPTED_FRAMES, type ServerLinkCore } from "./link-core.ts";
import { SessionTable, type SessionTableOptions } from "./session-table.ts";

export type ServerCoreOptions = SessionTableOptions & EntranceOptions;

export type { AuthenticateEvent };

export type ServerCoreEvent =
  | AuthenticateEvent
  /** A client has opened a link. */
  | { type: "link"; channel: number; link: ServerLinkCore }
  /** A connection speaks for this link from now on: its input and output are the link's. */
  | { type: "attached"; channel: number; link: ServerLinkCore }
  /** Nobody has confirmed the session, and another was given its place. No application has heard of it. */
  | { type: "gave-way"; link: ServerLinkCore }
  /** The link has changed, but not because of input on its own connection: its driver has to run. */
  | { type: "changed"; link: ServerLinkCore }
  | HandshakeEvent;

/** `refused`: refused for good, with the reason, or empty. "unavailable": authentication was not possible now. */
export type CheckedVerdict = { identity: string; claims: unknown } | { refused: string } | "unavailable";

/** A new session's client states its window with its first ACK. */
const NO_POSITIONS: Positions = { received: 0, accepted: 0, window: 0, stop: false, done: false };

export class ServerCore {
  readonly events: ServerCoreEvent[] = [];
  readonly #sessions: SessionTable;
  readonly #handshakes: HandshakeTable;
  readonly #entrance: Entrance;
  readonly #attached = new Map<number, ServerLinkCore>();
  readonly #options: ServerCoreOptions;
  readonly #entropy: Entropy;
  /** When the server will be gone; undefined if it is not going away. */
  #goneMs: number | undefined;

  constructor(options: ServerCoreOptions, entropy: Entropy) {
    this.#options = options;
    this.#entropy = entropy;
    this.#handshakes = new HandshakeTable(options, this.events, (id) => this.#entrance.left(id));
    this.#sessions = new SessionTable(options, entropy, (link) => {
      this.#handshakes.leave(link, "gave way");
      this.events.push({ type: "gave-way", link });
    });
    this.#entrance = new Entrance(options, this.#handshakes, this.#sessions, this.events, entropy);
  }

  /** How many connections there are in each of the two states, and how many sessions. */
  get handshakes(): number {
    return this.#handshakes.size;
  }

  get attached(): number {
    return this.#attached.size;
  }

  /** Calls of the application's function that are under way. */
  get authenticating(): number {
    return this.#entrance.authenticating;
  }

  get sessions(): number {
    return this.#sessions.size;
  }

  get unconfirmed(): number {
    return this.#sessions.unconfirmed;
  }

  links(): IterableIterator<ServerLinkCore> {
    return this.#sessions.links();
  }

  /** Opens are refused from now on, and clients are asked to go on elsewhere, for which they have `deadlineMs`. */
  drain(deadlineMs: number, nowMs: number): void {
    this.#goneMs = nowMs + deadlineMs;
    for (const link of this.#sessions.links()) link.goAway(deadlineMs);
  }

  // ── connections ─────────────────────────────────────────────────────────────────────────────────────────────────

  /** @param peer the part of the client's address that has a share of its own; "" if it is unknown */
  connectionOpened(id: number, peer: string, nowMs: number): void {
    this.#entrance.open(id, peer, this.#attached.size, nowMs);
  }

  connectionClosed(id: number, reason: string, nowMs: number): void {
    const state = this.#handshakes.get(id)?.state;
    if (state?.name === "confirming") this.#sessions.keep(state.link, nowMs);
    if (this.#handshakes.lost(id)) return;
    this.#attached.get(id)?.connectionClosed(id, reason, nowMs);
    this.#attached.delete(id);
  }

  receive(id: number, chunk: Buffer, nowMs: number): void {
    const attached = this.#attached.get(id);
    if (attached !== undefined) return attached.receive(id, chunk, nowMs);
    const handshake = this.#handshakes.get(id);
    if (handshake === undefined || handshake.channel.closed) return;
    const { channel } = handshake;
    const taker: FrameTaker = {
      onFrame: (_, frame) => this.#onFrame(handshake, frame, nowMs),
      onData: (_, offset, bytes, flags) =>
        handshake.link === undefined
          ? fault("bad-frame", "DATA before the handshake was over")
          : handshake.link.onData(channel, offset, bytes, flags),
    };
    const problem = channel.receive(chunk, taker, nowMs);
    if (problem === undefined || channel.closed) return;
    if (handshake.link === undefined) this.#handshakes.close(handshake, problem.code, problem);
    else handshake.link.onProblem(channel, problem, nowMs);
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
        if (state.name !== "confirming") return undefined;
        state.link.forgetProvisional();
        this.#handshakes.close(handshake, "reset before it was confirmed", undefined);
        return undefined;
      case "confirm":
        return this.#onConfirm(handshake, frame.mac, nowMs);
      case "commit":
        this.#onCommit(handshake, frame.positions, nowMs);
        return undefined;
      default:
        return fault("bad-frame", `unexpected ${frame.type} frame`);
    }
  }

  #onHello(handshake: Handshake, frame: HelloFrame, nowMs: number): Fault | undefined {
    const { version, mode, maxMessageBytes, sessionId } = frame.hello;
    const mismatch =
      version !== PROTOCOL_VERSION ? `version ${version}` : mode === this.#options.mode ? undefined : `mode ${mode}`;
    if (mismatch !== undefined) {
      this.#handshakes.refuse(handshake, "mismatch", mismatch, 0);
      return undefined;
    }
    if (maxMessageBytes === 0) return fault("bad-frame", "a largest message of 0 bytes");
    handshake.sessionId = sessionId;
    const link = this.#sessionOf(frame);
    if (link !== undefined && !link.isFor(frame)) {
      this.#handshakes.refuse(handshake, "authentication", "wrong proof or open payload", 0);
    } else if (link === undefined || this.#mayComeBack(handshake, frame, link, nowMs)) {
      this.#entrance.introduce(handshake, frame, link, this.#attached.size, nowMs);
    }
    return undefined;
  }

  /** Checked before authentication: a client that comes too often costs no call. */
  #mayComeBack(handshake: Handshake, { type, hello }: HelloFrame, link: ServerLinkCore, nowMs: number): boolean {
    if (type === "standby" && !canStandBy(link)) {
      this.#handshakes.refuse(handshake, "no-standby", "no such session here", 0);
      return false;
    }
    // A HELLO that was replayed does not count as the session's coming back.
    if (!this.#mayOwn(handshake, link, ownerOf(hello))) return false;
    return this.#entrance.mayComeBack(handshake, link, type === "standby" ? "standby" : "resume", hello, nowMs);
  }

  /** The session that a resume or a standby names, if it is here. */
  #sessionOf({ type, hello }: HelloFrame): ServerLinkCore | undefined {
    if (type === "hello" && !hello.resume) return undefined;
    const link = this.#sessions.get(hello.sessionId);
    return link?.session.incarnation === hello.incarnation ? link : undefined;
  }

  /** Takes the answer to an "authenticate" event, now or later. Everything is checked as if HELLO had arrived now. */
  authenticated(id: number, verdict: CheckedVerdict, nowMs: number): void {
    this.#entrance.answered(id, nowMs);
    this.#onVerdict(id, verdict, nowMs);
    this.#entrance.proceed(nowMs);
  }

  #onVerdict(id: number, verdict: CheckedVerdict, nowMs: number): void {
    const handshake = this.#handshakes.get(id);
    if (handshake?.state.name !== "authenticating") return;
    const { said, reset, link: asked } = handshake.state;
    const link = this.#sessionOf(said);
    if (link !== asked && link !== undefined && !this.#isAnswerFor(handshake, said, link, asked, nowMs)) return;
    if (verdict === "unavailable") {
      link?.extend(said.hello, nowMs);
      this.#entrance.comeBackLater(handshake, "authentication-unavailable", "no verdict", nowMs);
    } else if ("refused" in verdict) {
      const { refused } = verdict;
      const reason = refused === "" ? "refused" : refused;
      this.#handshakes.refuse(handshake, "authentication", reason, 0, { told: refused });
    } else {
      handshake.claims = verdict.claims;
      this.#onAuthenticated(handshake, said, link, verdict.identity, nowMs);
    }
    if (reset !== undefined && !handshake.channel.closed) this.#onFrame(handshake, reset, nowMs);
  }

  #onAuthenticated(
    handshake: Handshake,
    said: HelloFrame,
    link: ServerLinkCore | undefined,
    identity: string,
    nowMs: number,
  ): void {
    if (said.type === "standby") this.#onStandby(handshake, said, link, identity);
    else if (said.hello.resume) this.#onResume(handshake, said, link, identity, nowMs);
    else this.#onOpen(handshake, said.hello, said.hello.sessionId, identity, "new", nowMs);
  }

  /** The session may have come here since authentication began: answers whether the verdict is about this session. */
  #isAnswerFor(
    handshake: Handshake,
    said: HelloFrame,
    link: ServerLinkCore,
    asked: ServerLinkCore | undefined,
    nowMs: number,
  ): boolean {
    const openPayload = asked?.openPayload ?? said.hello.openPayload;
    if (!link.isFor(said)) this.#handshakes.refuse(handshake, "authentication", "wrong proof or open payload", 0);
    else if (openPayload.equals(link.openPayload)) return true;
    else this.#entrance.comeBackLater(handshake, "authentication-unavailable", "asked of another", nowMs);
    return false;
  }

  // ── a new session ───────────────────────────────────────────────────────────────────────────────────────────────

  /** An open, or a fallback of a resume whose session is not known. */
  #onOpen(
    handshake: Handshake,
    hello: Hello,
    id: string,
    identity: string,
    result: "new" | "lost",
    nowMs: number,
  ): void {
    const secret = result === "new" ? hello.secretOrProof : hello.fallback?.secret;
    if (secret === undefined) throw new Error("a fallback without a secret");
    const known = this.#sessions.get(id);
    if (known !== undefined) {
      if (!this.#entropy.equal(secret, secretBytes(known.session.keys.secret)) || known.identity !== identity) {
        this.#handshakes.refuse(handshake, "authentication", "another session's id", 0);
      } else if (!known.openPayload.equals(hello.openPayload)) {
        this.#handshakes.refuse(handshake, "authentication", "another open payload than the session's", 0);
      } else if (known.session.phase !== "provisional") {
        // The session was confirmed, so its client has read a WELCOME, and would resume it rather than open it.
        this.#handshakes.refuse(handshake, "stale", "opened before", 0);
      } else if (
        this.#mayOwn(handshake, known, ownerOf(hello)) &&
        this.#entrance.mayComeBack(handshake, known, "resume", hello, nowMs)
      ) {
        this.#welcomeProvisional(handshake, hello, known, result, nowMs);
      }
      return;
    }
    if (this.#goneMs !== undefined) return this.#entrance.comeBackLater(handshake, "draining", "draining", nowMs);
    const who = whoOf(identity, handshake.peer);
    if (!this.#entrance.mayOpen(handshake, identity, who, nowMs)) return;
    const link = this.#sessions.open({ id, secret: secret.toString("latin1") }, hello, identity, who, nowMs);
    this.#welcomeProvisional(handshake, hello, link, result, nowMs);
  }

  #mayOwn(handshake: Handshake, link: ServerLinkCore, owner: Owner): boolean {
    const verdict = compareOwners(owner, link.owner);
    if (verdict !== "newer") this.#handshakes.refuse(handshake, verdict, "not newer than the session's owner", 0);
    return verdict === "newer";
  }

  #welcomeProvisional(
    handshake: Handshake,
    hello: Hello,
    link: ServerLinkCore,
    result: Welcome["result"],
    nowMs: number,
  ): void {
    const nonce = this.#entropy.randomBytes(NONCE_BYTES);
    link.owner = ownerOf(hello);
    this.#sessions.keep(link, nowMs);
    // Only the newest connection may confirm.
    link.nonce = nonce;
    // If a resume is answered with its fallback, the positions in its HELLO are those of the lost session.
    handshake.confirming(link, nonce, result === "lost" ? NO_POSITIONS : hello.positions);
    handshake.channel.send(link.welcome(result, nonce));
  }

  #onConfirm(handshake: Handshake, mac: Buffer, nowMs: number): Fault | undefined {
    const { channel, state } = handshake;
    if (state.name !== "confirming") throw new Error(`CONFIRM on a connection that is ${state.name}`);
    const { link, nonce, positions } = state;
    if (link.nonce !== nonce || link.session.phase !== "provisional") {
      // The client has dialled again meanwhile, or was too slow.
      this.#handshakes.close(handshake, "confirmed too late", undefined);
      return undefined;
    }
    if (positions.received > 0) {
      link.forgetProvisional();
      return fault("impossible-position", "something received in a session that has sent nothing");
    }
    if (!link.isConfirmed(mac, nonce)) {
      link.forgetProvisional();
      return fault("wrong-proof", "wrong MAC in CONFIRM");
    }
    this.#sessions.confirmed(link);
    link.nonce = undefined;
    link.confirm();
    this.events.push({ type: "link", channel: channel.id, link });
    const problem = this.#attach(handshake, link, positions, false, nowMs);
    if (this.#goneMs !== undefined) link.goAway(this.#goneMs - nowMs);
    link.checkThrough();
    return problem;
  }

  // ── a session that is known ─────────────────────────────────────────────────────────────────────────────────────

  #onResume(
    handshake: Handshake,
    said: HelloFrame,
    link: ServerLinkCore | undefined,
    identity: string,
    nowMs: number,
  ): void {
    const { hello } = said;
    if (link === undefined) {
      const { fallback } = hello;
      if (fallback !== undefined) return this.#onOpen(handshake, hello, fallback.id, identity, "lost", nowMs);
      return this.#handshakes.refuse(handshake, "session-lost", "unknown session", 0);
    }
    if (link.identity !== identity) return this.#refuseAnother(handshake);
    const owner = ownerOf(hello);
    if (!this.#mayOwn(handshake, link, owner)) return;
    switch (link.session.phase) {
      case "provisional":
        return this.#welcomeProvisional(handshake, hello, link, "resumed", nowMs);
      case "reset":
        handshake.channel.send(link.resetAnswer());
        return this.#handshakes.close(handshake, "reset", undefined);
      case "live":
      case "done":
        return this.#resume(handshake, said, link, owner, nowMs);
      case "gone":
        throw new Error("a session that is gone is still in the table");
    }
  }

  #refuseAnother(handshake: Handshake): void {
    this.#handshakes.refuse(handshake, "authentication", "another identity than the session's", 0);
  }

  #resume(handshake: Handshake, said: HelloFrame, link: ServerLinkCore, owner: Owner, nowMs: number): void {
    if (!this.#takeOver(handshake, link, owner, said.hello.positions, false, nowMs)) return;
    link.nonce = this.#entropy.randomBytes(NONCE_BYTES);
    handshake.channel.send(link.welcome("resumed", link.nonce));
    link.checkThrough();
  }

  #onStandby(handshake: Handshake, { hello }: HelloFrame, link: ServerLinkCore | undefined, identity: string): void {
    if (link === undefined || !canStandBy(link)) {
      return this.#handshakes.refuse(handshake, "no-standby", "no such session here", 0);
    }
    if (link.identity !== identity) return this.#refuseAnother(handshake);
    const owner = ownerOf(hello);
    if (!this.#mayOwn(handshake, link, owner)) return;
    this.#handshakes.standingBy(handshake, link, owner);
    handshake.channel.send(encodeReady());
  }

  #onCommit(handshake: Handshake, positions: Positions, nowMs: number): void {
    const { channel, state } = handshake;
    if (state.name !== "standing-by") throw new Error(`COMMIT on a connection that is ${state.name}`);
    const { link, owner } = state;
    if (link.session.phase === "gone") return this.#handshakes.refuse(handshake, "session-lost", "it has ended", 0);
    if (!this.#mayOwn(handshake, link, owner)) return;
    if (link.session.phase === "reset") {
      channel.send(link.resetAnswer());
      return this.#handshakes.close(handshake, "reset", undefined);
    }
    if (!this.#takeOver(handshake, link, owner, positions, true, nowMs)) return;
    link.nonce = undefined;
    link.sendCommitted(channel);
    link.checkThrough();
  }

  /** Answers whether the takeover succeeded: an impossible position ends the session at both ends. */
  #takeOver(
    handshake: Handshake,
    link: ServerLinkCore,
    owner: Owner,
    positions: Positions,
    late: boolean,
    nowMs: number,
  ): boolean {
    // Another process has taken the session over: the first must not fight for it.
    if (owner.epoch > link.owner.epoch) link.adopted?.send(encodeRefuse("taken-over", 0));
    link.owner = owner;
    const problem = this.#attach(handshake, link, positions, late, nowMs);
    if (problem === undefined) return true;
    link.onImpossibleResume(handshake.channel, problem);
    this.events.push({ type: "changed", link });
    this.#handshakes.close(handshake, problem.code, problem);
    return false;
  }

  #attach(
    handshake: Handshake,
    link: ServerLinkCore,
    positions: Positions,
    late: boolean,
    nowMs: number,
  ): Fault | undefined {
    const { channel } = handshake;
    const problem = link.takeOver(channel, positions, late, nowMs);
    if (problem !== undefined) return problem;
    link.claims = handshake.claims;
    this.#handshakes.attached(handshake, link);
    this.#attached.set(channel.id, link);
    link.onDetached = (id) => this.#attached.delete(id);
    channel.decoder.expect = ADOPTED_FRAMES;
    this.events.push({ type: "attached", channel: channel.id, link });
    return undefined;
  }

  // ── time and output ─────────────────────────────────────────────────────────────────────────────────────────────

  /** When the server has something to do. Each link has a timeout of its own. */
  get nextTimeoutMs(): number {
    return Math.min(this.#handshakes.nextTimeoutMs, this.#sessions.nextTimeoutMs, this.#entrance.nextTimeoutMs);
  }

  tick(nowMs: number): void {
    // First refuse the clients that are told when to come back, then close those that are told nothing.
    this.#entrance.tick(nowMs);
    this.#handshakes.tick(nowMs);
    this.#sessions.tick(nowMs);
  }

  transmit(id: number, roomBytes: number, nowMs: number): Buffer[] {
    const attached = this.#attached.get(id);
    return attached === undefined ? this.#handshakes.transmit(id) : attached.transmit(id, roomBytes, nowMs);
  }
}

/** Only a live session can have a standby, or a tombstone whose client may not know yet that it is done. */
function canStandBy({ session: { phase } }: ServerLinkCore): boolean {
  return phase === "live" || phase === "done";
}
