/**
 * The server's end: the table of sessions, and the handshakes of connections that want to speak for one of them. What a
 * session does once it has a connection is `server-link.ts`.
 */
import { Channel } from "./channel.ts";
import { type Fault, fault } from "./faults.ts";
import {
  encodeReady,
  encodeRefuse,
  encodeWelcome,
  type Frame,
  frameMask,
  type FrameSink,
  type Hello,
  NONCE_BYTES,
  type Positions,
  PROTOCOL_VERSION,
  type RefuseCode,
  type Welcome,
} from "./frames.ts";
import { compareOwners, confirmMac, type Entropy, isProven, newId, type Owner, secretBytes } from "./handshake.ts";
import type { LinkCoreOptions } from "./link-core.ts";
import { ADOPTED_FRAMES, ServerLink } from "./server-link.ts";

export interface ServerCoreOptions extends LinkCoreOptions {
  /** A session waits so long for its client. */
  resumeForMs: number;
  /** From a connection's opening to its WELCOME, and from there to CONFIRM. */
  handshakeMs: number;
  /** Connections in a handshake; above, the oldest is dropped. */
  maxHandshakes: number;
  maxSessions: number;
  maxSessionsPerIdentity: number;
  /** What there is a budget for. Answers 0, or after how many milliseconds to come back. */
  admit(kind: "open" | "resume" | "standby", nowMs: number): number;
}

export type ServerCoreEvent =
  /** Answer with `authenticated()`. */
  | { type: "authenticate"; channel: number; credentials: Buffer; openPayload: Buffer }
  /** A client has opened a link. */
  | { type: "link"; channel: number; link: ServerLink }
  /** A connection speaks for this link from now on: its input and output are the link's. */
  | { type: "attached"; channel: number; link: ServerLink }
  | { type: "refused"; channel: number; code: RefuseCode; reason: string; sessionId: string; retryAfterMs: number }
  | { type: "close-connection"; channel: number; last: Buffer[]; reason: string; fault: Fault | undefined };

/** `identity` null: refused for good. "unavailable": nobody could say. */
export type Verdict = { identity: string | null } | "unavailable";

interface Handshake {
  readonly channel: Channel;
  state: "hello" | "authenticating" | "provisional" | "standby" | "over";
  hello: Hello | undefined;
  raw: Buffer | undefined;
  type: "hello" | "standby";
  /** A client that only wants to tell of a reset sends it right behind its HELLO. */
  pendingReset: Extract<Frame, { type: "reset" }> | undefined;
  link: ServerLink | undefined;
  nonce: Buffer | undefined;
  /** What the client has stated for the session that it is to confirm. */
  positions: Positions;
}

/** Of a new session whose client's window is not known yet: its first ACK states it. */
const NO_POSITIONS: Positions = { received: 0, accepted: 0, window: 0, stop: false, done: false };

const HELLO_FRAMES = frameMask("hello", "standby");
const WAITING_FRAMES = frameMask("reset", "ping", "pong");
const PROVISIONAL_FRAMES = frameMask("confirm", "reset", "ping", "pong");
const STANDBY_FRAMES = frameMask("commit", "ping", "pong");
const RETRY_FULL_MS = 1_000;

export class ServerCore {
  readonly events: ServerCoreEvent[] = [];
  readonly #links = new Map<string, ServerLink>();
  /** Connections that speak for no session, oldest first. */
  readonly #handshakes = new Map<number, Handshake>();
  /** Connections that speak for a session. */
  readonly #attached = new Map<number, ServerLink>();
  /** Sessions that nobody has confirmed, and until when they are kept; oldest first. */
  readonly #provisional = new Map<ServerLink, number>();
  readonly #perIdentity = new Map<string, number>();
  readonly #options: ServerCoreOptions;
  readonly #entropy: Entropy;
  #draining = false;

  constructor(options: ServerCoreOptions, entropy: Entropy) {
    this.#options = options;
    this.#entropy = entropy;
  }

  get handshakes(): number {
    return this.#handshakes.size;
  }

  get sessions(): number {
    return this.#links.size;
  }

  links(): IterableIterator<ServerLink> {
    return this.#links.values();
  }

  /** Opens are refused from now on; sessions that are here go on until they end. */
  drain(): void {
    this.#draining = true;
  }

  connectionOpened(id: number, nowMs: number): void {
    if (this.#handshakes.size >= this.#options.maxHandshakes) {
      const [oldest] = this.#handshakes.values();
      if (oldest !== undefined) this.#close(oldest, "too many handshakes", undefined);
    }
    this.#handshakes.set(id, {
      channel: new Channel(id, HELLO_FRAMES, nowMs),
      state: "hello",
      hello: undefined,
      raw: undefined,
      type: "hello",
      pendingReset: undefined,
      link: undefined,
      nonce: undefined,
      positions: NO_POSITIONS,
    });
  }

  connectionClosed(id: number, reason: string, nowMs: number): void {
    const handshake = this.#handshakes.get(id);
    if (handshake !== undefined) {
      handshake.state = "over";
      handshake.channel.close();
      this.#handshakes.delete(id);
      return;
    }
    const link = this.#attached.get(id);
    this.#attached.delete(id);
    link?.connectionClosed(id, reason, nowMs);
  }

  receive(id: number, chunk: Buffer, nowMs: number): void {
    const attached = this.#attached.get(id);
    if (attached !== undefined) {
      attached.receive(id, chunk, nowMs);
      return;
    }
    const handshake = this.#handshakes.get(id);
    if (handshake === undefined || handshake.channel.closed) return;
    const { channel } = handshake;
    let problem: Fault | undefined;
    // One chunk can hold the last frames of a handshake and the first of the session.
    const sink: FrameSink = {
      onFrame: (frame) => {
        problem ??=
          channel === handshake.link?.adopted
            ? handshake.link.onFrame(channel, frame, nowMs)
            : this.#onFrame(handshake, frame, nowMs);
        if (problem !== undefined) channel.decoder.stop();
      },
      onData: (offset, bytes, flags) => {
        problem ??=
          channel === handshake.link?.adopted
            ? handshake.link.onData(channel, offset, bytes, flags)
            : fault("bad-frame", "DATA before the handshake was over");
        if (problem !== undefined) channel.decoder.stop();
      },
    };
    problem = channel.decoder.push(chunk, sink) ?? problem;
    if (problem === undefined || channel.closed) return;
    if (channel === handshake.link?.adopted) handshake.link.onProblem(channel, problem, nowMs);
    else this.#close(handshake, problem.code, problem);
  }

  #close(handshake: Handshake, reason: string, problem: Fault | undefined): void {
    const { channel } = handshake;
    handshake.state = "over";
    this.#handshakes.delete(channel.id);
    const last: Buffer[] = [];
    channel.drainInto(last);
    channel.close();
    this.events.push({ type: "close-connection", channel: channel.id, last, reason, fault: problem });
  }

  #onFrame(handshake: Handshake, frame: Frame, nowMs: number): Fault | undefined {
    const { channel } = handshake;
    switch (frame.type) {
      case "hello":
      case "standby":
        return this.#onHello(handshake, frame);
      case "ping":
        channel.owePong(frame.token);
        return undefined;
      case "pong":
        return undefined;
      case "confirm":
        return this.#onConfirm(handshake, frame.mac, nowMs);
      case "commit":
        this.#onCommit(handshake, frame.positions, nowMs);
        return undefined;
      case "reset":
        if (handshake.state === "authenticating") handshake.pendingReset = frame;
        else if (handshake.link !== undefined) this.#dropProvisional(handshake.link);
        if (handshake.state === "provisional") this.#close(handshake, "reset before it was confirmed", undefined);
        return undefined;
      default:
        return fault("bad-frame", `unexpected ${frame.type} frame`);
    }
  }

  #onHello(handshake: Handshake, frame: Extract<Frame, { type: "hello" | "standby" }>): Fault | undefined {
    const { hello } = frame;
    if (hello.version !== PROTOCOL_VERSION) {
      this.#refuse(handshake, "mismatch", `version ${hello.version}`, 0);
      return undefined;
    }
    if (hello.mode !== this.#options.mode) {
      this.#refuse(handshake, "mismatch", `mode ${hello.mode}`, 0);
      return undefined;
    }
    if (hello.maxMessageBytes === 0) return fault("bad-frame", "a largest message of 0 bytes");
    handshake.hello = hello;
    handshake.raw = frame.raw;
    handshake.type = frame.type;
    handshake.state = "authenticating";
    handshake.channel.decoder.expect = WAITING_FRAMES;
    const { credentials, openPayload } = hello;
    this.events.push({ type: "authenticate", channel: handshake.channel.id, credentials, openPayload });
    return undefined;
  }

  /** The answer to an "authenticate" event, now or later. Everything is looked at as if HELLO arrived now. */
  authenticated(id: number, verdict: Verdict, nowMs: number): void {
    const handshake = this.#handshakes.get(id);
    if (handshake?.state !== "authenticating" || handshake.hello === undefined) return;
    if (verdict === "unavailable") {
      this.#refuse(handshake, "authentication-unavailable", "no verdict", RETRY_FULL_MS);
    } else if (verdict.identity === null) {
      this.#refuse(handshake, "authentication", "refused", 0);
    } else if (handshake.type === "standby") {
      this.#onStandby(handshake, handshake.hello, verdict.identity, nowMs);
    } else if (handshake.hello.resume) {
      this.#onResume(handshake, handshake.hello, verdict.identity, nowMs);
    } else {
      this.#onOpen(handshake, handshake.hello, handshake.hello.sessionId, verdict.identity, "new", nowMs);
    }
    const { pendingReset, link, channel } = handshake;
    if (pendingReset === undefined || channel.closed) return;
    if (channel === link?.adopted) link.onFrame(channel, pendingReset, nowMs);
    else this.#onFrame(handshake, pendingReset, nowMs);
  }

  #refuse(handshake: Handshake, code: RefuseCode, reason: string, retryAfterMs: number): void {
    const { channel, hello } = handshake;
    channel.send(encodeRefuse(code, retryAfterMs));
    const sessionId = hello?.sessionId ?? "";
    this.events.push({ type: "refused", channel: channel.id, code, reason, sessionId, retryAfterMs });
    this.#close(handshake, code, undefined);
  }

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
    const owner = ownerOf(hello);
    const known = this.#links.get(id);
    if (known !== undefined) {
      if (!this.#entropy.equal(secret, secretBytes(known.session.keys.secret)) || known.identity !== identity) {
        this.#refuse(handshake, "authentication", "another session's id", 0);
      } else if (known.session.phase !== "provisional") {
        // It was confirmed, so its client has read a WELCOME and would resume it.
        this.#refuse(handshake, "stale", "opened before", 0);
      } else if (this.#mayOwn(handshake, known, owner)) {
        this.#welcomeProvisional(handshake, hello, known, owner, result);
      }
      return;
    }
    if (this.#draining) return this.#refuse(handshake, "draining", "draining", RETRY_FULL_MS);
    const retryAfterMs = this.#roomForSession(identity) ? this.#options.admit("open", nowMs) : RETRY_FULL_MS;
    if (retryAfterMs > 0) return this.#refuse(handshake, "overloaded", "no room for an open", retryAfterMs);
    const maxMessageBytes = Math.min(hello.maxMessageBytes, this.#options.maxMessageBytes);
    const link = new ServerLink(
      { ...this.#options, maxMessageBytes },
      { id, secret: secret.toString("latin1") },
      newId(this.#entropy),
      { identity, openPayload: hello.openPayload, owner },
      this.#entropy,
    );
    this.#links.set(id, link);
    this.#perIdentity.set(identity, (this.#perIdentity.get(identity) ?? 0) + 1);
    link.onForgotten = () => this.#forget(id, link);
    this.#provisional.set(link, nowMs + this.#options.handshakeMs);
    this.#welcomeProvisional(handshake, hello, link, owner, result);
  }

  #roomForSession(identity: string): boolean {
    const { maxSessions, maxSessionsPerIdentity } = this.#options;
    return this.#links.size < maxSessions && (this.#perIdentity.get(identity) ?? 0) < maxSessionsPerIdentity;
  }

  #forget(id: string, link: ServerLink): void {
    if (this.#links.get(id) !== link) return;
    this.#links.delete(id);
    this.#provisional.delete(link);
    const left = (this.#perIdentity.get(link.identity) ?? 1) - 1;
    if (left > 0) this.#perIdentity.set(link.identity, left);
    else this.#perIdentity.delete(link.identity);
  }

  #dropProvisional(link: ServerLink): void {
    if (link.session.phase === "provisional") link.forgetProvisional();
  }

  #mayOwn(handshake: Handshake, link: ServerLink, owner: Owner): boolean {
    const verdict = compareOwners(owner, link.owner);
    if (verdict === "newer") return true;
    this.#refuse(handshake, verdict, "not newer than the session's owner", 0);
    return false;
  }

  #welcomeProvisional(
    handshake: Handshake,
    hello: Hello,
    link: ServerLink,
    owner: Owner,
    result: Welcome["result"],
  ): void {
    const nonce = this.#entropy.randomBytes(NONCE_BYTES);
    link.owner = owner;
    for (const other of this.#handshakes.values()) {
      // Only the newest connection may confirm.
      if (other.link === link && other !== handshake) other.nonce = undefined;
    }
    handshake.link = link;
    handshake.nonce = nonce;
    // A resume that is answered with its fallback speaks of the session that is lost.
    handshake.positions = result === "lost" ? NO_POSITIONS : hello.positions;
    handshake.state = "provisional";
    handshake.channel.decoder.expect = PROVISIONAL_FRAMES;
    handshake.channel.send(this.#welcome(link, result, nonce));
  }

  #welcome(link: ServerLink, result: Welcome["result"], nonce: Buffer): Buffer {
    return encodeWelcome({
      result,
      incarnation: link.session.incarnation,
      nonce,
      positions: link.session.positions(),
      goaway: false,
      maxMessageBytes: link.maxMessageBytes,
      resumeForMs: this.#options.resumeForMs,
    });
  }

  #onConfirm(handshake: Handshake, mac: Buffer, nowMs: number): Fault | undefined {
    const { link, nonce, channel } = handshake;
    if (link === undefined || nonce === undefined || link.session.phase !== "provisional") {
      return fault("bad-frame", "CONFIRM for a session that is not waiting for it");
    }
    const { keys, incarnation } = link.session;
    if (!this.#entropy.equal(mac, confirmMac(this.#entropy, keys, incarnation, nonce))) {
      this.#dropProvisional(link);
      return fault("wrong-proof", "wrong MAC in CONFIRM");
    }
    this.#provisional.delete(link);
    link.confirm();
    this.events.push({ type: "link", channel: channel.id, link });
    return this.#attach(handshake, link, handshake.positions, false, nowMs);
  }

  #attach(
    handshake: Handshake,
    link: ServerLink,
    positions: Positions,
    late: boolean,
    nowMs: number,
  ): Fault | undefined {
    const { channel } = handshake;
    const old = link.adopted;
    const problem = link.takeOver(channel, positions, late, nowMs);
    if (old !== undefined) this.#attached.delete(old.id);
    if (problem !== undefined) return problem;
    handshake.link = link;
    handshake.state = "over";
    this.#handshakes.delete(channel.id);
    this.#attached.set(channel.id, link);
    channel.decoder.expect = ADOPTED_FRAMES;
    this.events.push({ type: "attached", channel: channel.id, link });
    return undefined;
  }

  #onResume(handshake: Handshake, hello: Hello, identity: string, nowMs: number): void {
    const known = this.#links.get(hello.sessionId);
    const link = known?.session.incarnation === hello.incarnation ? known : undefined;
    if (link === undefined) return this.#onUnknown(handshake, hello, identity, nowMs);
    if (!this.#proven(handshake, hello, link, identity)) {
      return this.#refuse(handshake, "authentication", "wrong proof or identity", 0);
    }
    const owner = ownerOf(hello);
    if (!this.#mayOwn(handshake, link, owner)) return;
    switch (link.session.phase) {
      case "provisional":
        return this.#welcomeProvisional(handshake, hello, link, owner, "resumed");
      case "reset":
        handshake.channel.send(link.resetAnswer());
        return this.#close(handshake, "reset", undefined);
      case "live":
      case "done":
        return this.#resume(handshake, hello, link, owner, nowMs);
      case "gone":
        throw new Error("a session that is gone is still in the table");
    }
  }

  #proven(handshake: Handshake, hello: Hello, link: ServerLink, identity: string): boolean {
    if (handshake.raw === undefined || link.identity !== identity) return false;
    return isProven(this.#entropy, handshake.raw, hello, link.session.keys.secret);
  }

  #resume(handshake: Handshake, hello: Hello, link: ServerLink, owner: Owner, nowMs: number): void {
    const retryAfterMs = this.#options.admit("resume", nowMs);
    if (retryAfterMs > 0) {
      link.extend(nowMs);
      return this.#refuse(handshake, "overloaded", "too many resumes", retryAfterMs);
    }
    this.#tellTakenOver(link, owner);
    link.owner = owner;
    const problem = this.#attach(handshake, link, hello.positions, false, nowMs);
    if (problem !== undefined) return link.onImpossibleResume(handshake.channel, problem, () => {
      this.#close(handshake, problem.code, problem);
    });
    handshake.channel.send(this.#welcome(link, "resumed", this.#entropy.randomBytes(NONCE_BYTES)));
  }

  /** Another process has taken the session over: the first must not fight for it. */
  #tellTakenOver(link: ServerLink, owner: Owner): void {
    if (owner.epoch > link.owner.epoch) link.adopted?.send(encodeRefuse("taken-over", 0));
  }

  #onUnknown(handshake: Handshake, hello: Hello, identity: string, nowMs: number): void {
    if (hello.fallback === undefined) {
      return this.#refuse(handshake, "session-lost", "unknown session", 0);
    }
    this.#onOpen(handshake, hello, hello.fallback.id, identity, "lost", nowMs);
  }

  #onStandby(handshake: Handshake, hello: Hello, identity: string, nowMs: number): void {
    const link = this.#links.get(hello.sessionId);
    const phase = link?.session.phase;
    if (link === undefined || link.session.incarnation !== hello.incarnation || (phase !== "live" && phase !== "done")) {
      return this.#refuse(handshake, "no-standby", "no such session here", 0);
    }
    if (!this.#proven(handshake, hello, link, identity)) {
      return this.#refuse(handshake, "authentication", "wrong proof or identity", 0);
    }
    if (!this.#mayOwn(handshake, link, ownerOf(hello))) return;
    const retryAfterMs = this.#options.admit("standby", nowMs);
    if (retryAfterMs > 0) return this.#refuse(handshake, "overloaded", "too many standbys", retryAfterMs);
    handshake.link = link;
    handshake.state = "standby";
    handshake.channel.decoder.expect = STANDBY_FRAMES;
    handshake.channel.send(encodeReady());
  }

  #onCommit(handshake: Handshake, positions: Positions, nowMs: number): void {
    const { link, hello, channel } = handshake;
    if (link === undefined || hello === undefined) throw new Error("COMMIT on a connection that is no standby");
    const owner = ownerOf(hello);
    if (link.session.phase === "gone") return this.#refuse(handshake, "session-lost", "it has ended", 0);
    if (!this.#mayOwn(handshake, link, owner)) return;
    if (link.session.phase === "reset") {
      channel.send(link.resetAnswer());
      return this.#close(handshake, "reset", undefined);
    }
    this.#tellTakenOver(link, owner);
    link.owner = owner;
    const problem = this.#attach(handshake, link, positions, true, nowMs);
    if (problem !== undefined) return link.onImpossibleResume(channel, problem, () => {
      this.#close(handshake, problem.code, problem);
    });
    link.sendCommitted(channel);
  }

  // ── time and output ─────────────────────────────────────────────────────────────────────────────────────────────

  /** Of handshakes and provisional sessions; each link has its own. */
  get nextTimeoutMs(): number {
    const [handshake] = this.#handshakes.values();
    const [provisionalMs] = this.#provisional.values();
    const handshakeMs = handshake === undefined ? Infinity : handshake.channel.openedMs + this.#options.handshakeMs;
    return Math.min(handshakeMs, provisionalMs ?? Infinity);
  }

  tick(nowMs: number): void {
    for (const handshake of this.#handshakes.values()) {
      if (handshake.channel.openedMs + this.#options.handshakeMs > nowMs) break;
      this.#close(handshake, "handshake timed out", undefined);
    }
    for (const [link, untilMs] of this.#provisional) {
      if (untilMs > nowMs) break;
      this.#dropProvisional(link);
    }
  }

  transmit(id: number, roomBytes: number, nowMs: number): Buffer[] {
    const attached = this.#attached.get(id);
    if (attached !== undefined) return attached.transmit(id, roomBytes, nowMs);
    const out: Buffer[] = [];
    this.#handshakes.get(id)?.channel.drainInto(out);
    return out;
  }
}

function ownerOf(hello: Hello): Owner {
  return { ...hello.generation, instance: hello.instance };
}
