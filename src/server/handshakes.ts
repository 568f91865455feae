/** Connections that do not speak for a session yet: drives the server's core with what they send. */
import type { PeerCertificate } from "node:tls";
import type { CheckedVerdict, ServerCore, ServerCoreEvent } from "../core/server/server.ts";
import type { ServerLinkCore } from "../core/server/link-core.ts";
import type { Refusable } from "../core/server/state.ts";
import { RespliceError } from "../link/errors.ts";
import { isThenable } from "../link/check.ts";
import type { Clock, Connection, ConnectionHandler, Timer } from "../link/ports.ts";
import type { Message } from "../link/types.ts";
import { messageOf } from "../telemetry/thrown.ts";
import type { Lingering } from "./lingering.ts";
import type { Guest } from "./tls-handshakes.ts";
import type { ForwardOutcome } from "./forward/attempt.ts";
import type { Forwarding } from "./forward/forwarding.ts";
import { relay } from "./forward/relay.ts";
import type { AuthenticateRequest, ServerSupervisorOptions } from "./options.ts";
import { peerOf } from "./peer.ts";
import type { Refusals } from "./refusals.ts";
import { toVerdict } from "./verdict.ts";

/** Bytes of one connection that may wait to be read. */
const MOST_WAITING_BYTES = 8_192;

export interface HandshakeHooks {
  authenticate: ServerSupervisorOptions["authenticate"];
  refusals: Refusals;
  /** Reaches the server that has a session. Undefined: nothing is forwarded, and the core asks for nothing. */
  forward: Forwarding["send"] | undefined;
  lingering: Lingering;
  /** A client has opened a link. */
  onLink(link: ServerLinkCore): void;
  /** From now on the connection speaks for the link. */
  onAttached(link: ServerLinkCore, channel: number, connection: Connection): void;
  /** The link's core has events to be collected. */
  onChanged(link: ServerLinkCore): void;
}

export class Handshakes implements HandshakeOwner {
  readonly #core: ServerCore;
  readonly #clock: Clock;
  readonly #hooks: HandshakeHooks;
  readonly #timer: Timer;
  readonly #byChannel = new Map<number, HandshakeConnection>();
  /** Connections that were refused, and are about to be closed. */
  readonly #refusing = new Set<number>();
  readonly #answered: number[] = [];
  #stopped = false;
  #channels = 0;
  #running = false;
  #again = false;

  constructor(core: ServerCore, clock: Clock, hooks: HandshakeHooks) {
    this.#core = core;
    this.#clock = clock;
    this.#hooks = hooks;
    this.#timer = clock.timer(() => {
      core.tick(clock.now());
      this.#run(undefined);
    });
  }

  /** Reads from the connection from now on; with TLS, from when it is secured. */
  accept(connection: Connection): Guest {
    return this.#open(connection, false);
  }

  /** Another server has forwarded the connection to this one. `certificate`: the client's, if it has presented one. */
  acceptForwarded(connection: Connection, certificate: (() => PeerCertificate) | undefined): void {
    const handshake = this.#open(connection, true);
    if (certificate !== undefined) handshake.certificate = certificate;
  }

  #open(connection: Connection, isForwarded: boolean): HandshakeConnection {
    const id = ++this.#channels;
    const handshake = new HandshakeConnection(id, connection, this.#clock, this);
    this.#byChannel.set(id, handshake);
    this.#core.connectionOpened(id, peerOf(connection.remoteAddress), this.#clock.now(), isForwarded);
    this.#run(undefined);
    return handshake;
  }

  /** As `ServerCore.shed()`. */
  shed(link: ServerLinkCore, retryAfterMs: number): number | undefined {
    const toldMs = this.#core.shed(link, retryAfterMs, this.#clock.now());
    this.#run(undefined);
    return toldMs;
  }

  /** As `ServerCore.refuse()`. */
  refuse(what: Refusable, why: string): void {
    this.#core.refuse(what, why);
  }

  /** As `ServerCore.dropSilent()`. */
  dropSilent(most: number): number {
    const dropped = this.#core.dropSilent(most, this.#clock.now());
    this.#run(undefined);
    return dropped;
  }

  received({ id }: HandshakeConnection, chunk: Buffer): void {
    this.#core.receive(id, chunk, this.#clock.now());
    this.#run(id);
  }

  drained({ id }: HandshakeConnection): void {
    this.#run(id);
  }

  closed({ id, gone, forwarding }: HandshakeConnection, reason: string): void {
    this.#byChannel.delete(id);
    forwarding?.abort();
    gone?.abort(new RespliceError("CONNECTION_LOST", reason));
    this.#core.connectionClosed(id, reason, this.#clock.now());
    this.#run(undefined);
  }

  /** @param answered the only connection that the core can have something to write on */
  #run(answered: number | undefined): void {
    if (answered !== undefined) this.#answered.push(answered);
    if (this.#running) {
      this.#again = true;
      return;
    }
    this.#running = true;
    try {
      do {
        this.#again = false;
        for (const event of this.#core.events.splice(0)) this.#onEvent(event);
        for (const id of this.#answered.splice(0)) this.#transmit(id);
      } while (this.#again || this.#core.events.length > 0);
    } finally {
      this.#running = false;
    }
    if (!this.#stopped) this.#timer.set(this.#core.nextTimeoutMs);
  }

  #transmit(id: number): void {
    const connection = this.#byChannel.get(id)?.connection;
    // The client does not read: nothing more is written until `drained()`.
    if (connection === undefined || connection.roomBytes === 0) return;
    const out = this.#core.transmit(id, connection.roomBytes, this.#clock.now());
    if (out.length > 0) connection.write(out);
  }

  #onEvent(event: ServerCoreEvent): void {
    switch (event.type) {
      case "authenticate":
        this.#authenticate(event);
        break;
      case "link":
        this.#hooks.onLink(event.link);
        break;
      case "attached": {
        const handshake = this.#byChannel.get(event.channel);
        this.#byChannel.delete(event.channel);
        if (handshake === undefined) break;
        this.#hooks.onAttached(event.link, event.channel, handshake.connection);
        handshake.look();
        break;
      }
      case "adopt":
      case "restored":
        throw new Error(`${event.type}: this server has no store`);
      case "elsewhere":
        this.#forward(event.channel, event.serverId);
        break;
      case "gave-way":
        this.#hooks.refusals.turnedAway.add("handshakes", this.#clock.now());
        break;
      case "changed":
        this.#hooks.onChanged(event.link);
        break;
      case "refused":
        this.#onRefused(event);
        break;
      case "close-connection":
        this.#onClose(event);
        break;
    }
  }

  #onClose(event: Extract<ServerCoreEvent, { type: "close-connection" }>): void {
    const handshake = this.#byChannel.get(event.channel);
    this.#byChannel.delete(event.channel);
    if (handshake === undefined) return;
    const { connection, gone, forwarding } = handshake;
    const { refusals } = this.#hooks;
    forwarding?.abort();
    // A refusal has been reported already.
    if (event.fault !== undefined) refusals.rejected(connection.remoteAddress, event.reason, event.fault.detail);
    else if (!this.#refusing.delete(event.channel)) refusals.rejected(connection.remoteAddress, event.reason, "");
    gone?.abort(new RespliceError("CONNECTION_LOST", event.reason));
    if (event.limit !== undefined) refusals.turnedAway.add(event.limit, this.#clock.now());
    this.#hooks.lingering.end(connection, event.last);
  }

  #onRefused({ code, reason, sessionId, retryAfterMs, channel }: Extract<ServerCoreEvent, { type: "refused" }>): void {
    this.#refusing.add(channel);
    const remoteAddress = this.#byChannel.get(channel)?.connection.remoteAddress ?? "";
    this.#hooks.refusals.refused({ code, reason, sessionId, remoteAddress, retryAfterMs });
  }

  #authenticate(event: Extract<ServerCoreEvent, { type: "authenticate" }>): void {
    const handshake = this.#byChannel.get(event.channel);
    if (handshake === undefined) return;
    const verdict = this.#ask(event, handshake);
    if (verdict instanceof Promise) void verdict.then((later) => this.#answer(event.channel, later));
    else this.#answer(event.channel, verdict);
  }

  /** Reads on when the other server has the connection, or when there is none. */
  #forward(channel: number, serverId: string): void {
    const handshake = this.#byChannel.get(channel);
    if (handshake === undefined || this.#hooks.forward === undefined) return;
    const { remoteAddress } = handshake.connection;
    const certificate = handshake.certificate()?.raw ?? Buffer.alloc(0);
    handshake.connection.pause();
    const client = { remoteAddress, certificate };
    handshake.forwarding = this.#hooks.forward(serverId, client, (outcome) => this.#onForward(handshake, outcome));
  }

  #onForward(handshake: HandshakeConnection, outcome: ForwardOutcome): void {
    const { id, connection } = handshake;
    handshake.forwarding = undefined;
    if (typeof outcome === "object" && "to" in outcome) return this.#relay(handshake, outcome.to);
    if (outcome === "nobody") this.#core.nobodyThere(id, this.#clock.now());
    else this.#core.notForwarded(id, outcome.reason, this.#clock.now());
    connection.resume();
    this.#run(id);
  }

  #relay(handshake: HandshakeConnection, to: Connection): void {
    const { id, connection: from } = handshake;
    const first = this.#core.forwarded(id);
    if (first === undefined) return to.destroy();
    this.#byChannel.delete(id);
    relay({ from, to, first }, this.#clock, (reason) => {
      this.#core.connectionClosed(id, reason, this.#clock.now());
      this.#run(undefined);
    });
    handshake.look();
    this.#run(undefined);
  }

  #answer(channel: number, verdict: CheckedVerdict): void {
    this.#core.authenticated(channel, verdict, this.#clock.now());
    this.#run(channel);
  }

  /** Calls authenticate(). Answers at once if the application answers at once, else a promise that never rejects. */
  #ask(
    event: Extract<ServerCoreEvent, { type: "authenticate" }>,
    handshake: HandshakeConnection,
  ): CheckedVerdict | Promise<CheckedVerdict> {
    const { authenticate, refusals } = this.#hooks;
    if (authenticate === undefined) return { identity: "", claims: undefined };
    const { remoteAddress } = handshake.connection;
    const failed = (thrown: unknown): CheckedVerdict => {
      const failure = { hook: "authenticate", thrown };
      refusals.rejected(remoteAddress, "authenticate() failed", messageOf(thrown), failure);
      return "unavailable";
    };
    const certificate = handshake.certificate();
    handshake.gone ??= new AbortController();
    const request: AuthenticateRequest = {
      credentials: event.credentials as Message,
      // A copy: the application may change it, and the session keeps its own.
      openPayload: Buffer.from(event.openPayload),
      remoteAddress,
      signal: handshake.gone.signal,
      ...(certificate === undefined ? {} : { certificate }),
    };
    try {
      const answer: unknown = authenticate(request);
      const checked = (given: unknown): CheckedVerdict => toVerdict(given, this.#clock.wallMs());
      return isThenable(answer) ? Promise.resolve(answer).then(checked).catch(failed) : checked(answer);
    } catch (error) {
      return failed(error);
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#timer.clear();
  }
}

interface HandshakeOwner {
  received(handshake: HandshakeConnection, chunk: Buffer): void;
  drained(handshake: HandshakeConnection): void;
  closed(handshake: HandshakeConnection, reason: string): void;
}

/**
 * A connection that does not speak for a session yet. After a network failure very many may come at once: their bytes
 * are read a few connections at a time, so that existing links do not wait for all of them.
 */
class HandshakeConnection implements ConnectionHandler, Guest {
  readonly id: number;
  connection: Connection;
  /** The certificate that the client has presented. */
  certificate: () => PeerCertificate | undefined = () => undefined;
  /** Aborts the signal of an authenticate() that is under way. */
  gone: AbortController | undefined;
  /** The attempt to reach the server that has the session. */
  forwarding: { abort(): void } | undefined;
  readonly #clock: Clock;
  readonly #owner: HandshakeOwner;
  /** Chunks that have arrived and are not read yet. */
  #waiting: Buffer[] = [];
  #waitingBytes = 0;

  constructor(id: number, connection: Connection, clock: Clock, owner: HandshakeOwner) {
    this.id = id;
    this.connection = connection;
    this.#clock = clock;
    this.#owner = owner;
    connection.handler = this;
  }

  secured(connection: Connection, certificate: () => PeerCertificate | undefined): void {
    this.connection = connection;
    this.certificate = certificate;
    connection.handler = this;
  }

  onData(chunk: Buffer): undefined {
    this.#waiting.push(chunk);
    this.#waitingBytes += chunk.length;
    if (this.#waitingBytes > MOST_WAITING_BYTES) this.look();
    else if (this.#waiting.length === 1) this.#clock.spread((handshake) => handshake.look(), this);
  }

  /** Hands the waiting chunks to the connection's handler. */
  look(): void {
    const chunks = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    for (const chunk of chunks) {
      const { handler } = this.connection;
      // An earlier chunk may have finished the handshake or closed the connection: then another handler is set.
      if (handler === this) this.#owner.received(this, chunk);
      else handler.onData(chunk);
    }
  }

  onDrain(): void {
    this.#owner.drained(this);
  }

  onClosed(reason: string): void {
    this.#clock.spread((handshake) => handshake.#close(reason), this);
  }

  #close(reason: string): void {
    const { handler } = this.connection;
    if (handler === this) this.#owner.closed(this, reason);
    else handler.onClosed(reason);
  }
}
