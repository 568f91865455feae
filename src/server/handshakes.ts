/** Connections that do not speak for a session yet, and the table of sessions that they ask for. */
import type { PeerCertificate } from "node:tls";
import type { CheckedVerdict, ServerCore, ServerCoreEvent } from "../core/server/server.ts";
import type { ServerLinkCore } from "../core/server/link-core.ts";
import { RespliceError } from "../link/errors.ts";
import { isThenable } from "../link/incoming.ts";
import type { Clock, Connection, ConnectionHandler, Timer } from "../link/ports.ts";
import type { Message } from "../link/types.ts";
import { logRefusal, logRejected } from "../telemetry/events.ts";
import type { LogSink } from "../telemetry/logger.ts";
import { errorOf, messageOf } from "../telemetry/thrown.ts";
import { warnOnce } from "../telemetry/warning.ts";
import type { Guest } from "./listener.ts";
import type { AuthenticateRequest, ServerSupervisorOptions } from "./options.ts";
import { peerOf } from "./peer.ts";
import { TurnedAway } from "./turned-away.ts";
import { toVerdict } from "./verdict.ts";

/** So much of a connection may wait to be looked at. */
const MOST_WAITING_BYTES = 8_192;

export interface HandshakeHooks {
  authenticate: ServerSupervisorOptions["authenticate"];
  logger: LogSink | undefined;
  /** Is a connection that was told why it is closed waited for until it closes? */
  mayLinger(): boolean;
  /** A client has opened a link. */
  onLink(link: ServerLinkCore): void;
  /** The connection speaks for the link from now on. */
  onAttached(link: ServerLinkCore, channel: number, connection: Connection): void;
  /** Its core has something to tell. */
  onChanged(link: ServerLinkCore): void;
}

export class Handshakes implements HandshakeOwner {
  /** How often each REFUSE code was given. */
  readonly refused: Record<string, number> = {};
  /** And how often a connection was closed for what it did, by reason. */
  readonly rejections: Record<string, number> = {};
  readonly turnedAway: TurnedAway = new TurnedAway();
  readonly #core: ServerCore;
  readonly #clock: Clock;
  readonly #hooks: HandshakeHooks;
  readonly #timer: Timer;
  readonly #byChannel = new Map<number, HandshakeConnection>();
  /** Refused, and about to be closed for it. */
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

  /** What it says is looked at from now on, or from when it is secured. */
  accept(connection: Connection): Guest {
    const id = ++this.#channels;
    const handshake = new HandshakeConnection(id, connection, this.#clock, this);
    this.#byChannel.set(id, handshake);
    this.#core.connectionOpened(id, peerOf(connection.remoteAddress), this.#clock.now());
    this.#run(undefined);
    return handshake;
  }

  received({ id }: HandshakeConnection, chunk: Buffer): void {
    this.#core.receive(id, chunk, this.#clock.now());
    this.#run(id);
  }

  drained({ id }: HandshakeConnection): void {
    this.#run(id);
  }

  closed({ id, gone }: HandshakeConnection, reason: string): void {
    this.#byChannel.delete(id);
    gone?.abort(new RespliceError("CONNECTION_LOST", reason));
    this.#core.connectionClosed(id, reason, this.#clock.now());
    this.#run(undefined);
  }

  /** `answered`: the connection that there may be something to write on. No other can have got anything. */
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
    // Who does not read is written no more: `drained()` comes back to it.
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
      case "gave-way":
        this.turnedAway.add("handshakes", this.#clock.now());
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
    const { connection, gone } = handshake;
    // What was refused has been told of.
    if (event.fault !== undefined) this.rejected(connection.remoteAddress, event.reason, event.fault.detail);
    else if (!this.#refusing.delete(event.channel)) this.rejected(connection.remoteAddress, event.reason, "");
    gone?.abort(new RespliceError("CONNECTION_LOST", event.reason));
    if (event.limit !== undefined) this.turnedAway.add(event.limit, this.#clock.now());
    if (this.#hooks.mayLinger()) return connection.end(event.last);
    connection.write(event.last);
    connection.destroy();
  }

  #onRefused({ code, reason, sessionId, retryAfterMs, channel }: Extract<ServerCoreEvent, { type: "refused" }>): void {
    this.refused[code] = (this.refused[code] ?? 0) + 1;
    this.#refusing.add(channel);
    const { logger } = this.#hooks;
    if (logger === undefined) return;
    const remoteAddress = this.#byChannel.get(channel)?.connection.remoteAddress ?? "";
    logRefusal(logger, { code, reason, sessionId, remoteAddress, retryAfterMs });
  }

  /** A connection that was closed for what it sent, or did not send. */
  rejected(remoteAddress: string, reason: string, detail: string, err?: Error): void {
    this.rejections[reason] = (this.rejections[reason] ?? 0) + 1;
    const { logger } = this.#hooks;
    if (logger !== undefined) logRejected(logger, { reason, detail, remoteAddress, ...(err && { err }) });
  }

  #authenticate(event: Extract<ServerCoreEvent, { type: "authenticate" }>): void {
    const handshake = this.#byChannel.get(event.channel);
    if (handshake === undefined) return;
    const verdict = this.#ask(event, handshake);
    if (verdict instanceof Promise) void verdict.then((later) => this.#answer(event.channel, later));
    else this.#answer(event.channel, verdict);
  }

  #answer(channel: number, verdict: CheckedVerdict): void {
    this.#core.authenticated(channel, verdict, this.#clock.now());
    this.#run(channel);
  }

  /** At once, where the application can say at once. */
  #ask(
    event: Extract<ServerCoreEvent, { type: "authenticate" }>,
    handshake: HandshakeConnection,
  ): CheckedVerdict | Promise<CheckedVerdict> {
    const { authenticate } = this.#hooks;
    if (authenticate === undefined) return { identity: "", claims: undefined };
    const { remoteAddress } = handshake.connection;
    const failed = (error: unknown): CheckedVerdict => {
      if (this.#hooks.logger === undefined) warnOnce("RESPLICE_HOOK_FAILED", error, "authenticate");
      this.rejected(remoteAddress, "authenticate() failed", messageOf(error), errorOf(error));
      return "unavailable";
    };
    const certificate = handshake.certificate();
    handshake.gone ??= new AbortController();
    const request: AuthenticateRequest = {
      credentials: event.credentials as Message,
      // The session goes on with its own, whatever is done to this.
      openPayload: Buffer.from(event.openPayload),
      remoteAddress,
      signal: handshake.gone.signal,
      ...(certificate === undefined ? {} : { certificate }),
    };
    try {
      const answer: unknown = authenticate(request);
      return isThenable(answer) ? Promise.resolve(answer).then(toVerdict).catch(failed) : toVerdict(answer);
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
 * A connection that does not speak for a session yet. After a network has failed there may be very many at once: what they
 * say is looked at a little at a time, so that the links that are there already do not wait for all of them.
 */
class HandshakeConnection implements ConnectionHandler, Guest {
  readonly id: number;
  connection: Connection;
  /** What the client has shown. */
  certificate: () => PeerCertificate | undefined = () => undefined;
  /** Ends an authenticate() that is under way. */
  gone: AbortController | undefined;
  readonly #clock: Clock;
  readonly #owner: HandshakeOwner;
  /** Heard, and not looked at yet. */
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

  /** What waits goes to whoever the connection's handler is now. */
  look(): void {
    const chunks = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    for (const chunk of chunks) {
      const { handler } = this.connection;
      // By the one before it has come to speak for a session, or was closed.
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
