/** The application's login function at work on one connection, which is not in use before the function is done. */
import type { ConnectionOptions } from "node:tls";
import { integer } from "../link/check.ts";
import type { Driver } from "../link/driver.ts";
import { RespliceError } from "../link/errors.ts";
import type { Clock, Connection } from "../link/ports.ts";
import type { Message, Payload } from "../link/types.ts";
import { abortableWait, type Wait } from "../link/waits.ts";
import { ENTRY_BYTES } from "../plain/entry.ts";
import type { PlainLinkCore } from "../plain/link-core.ts";
import type { LoginConnection } from "../plain/plain.ts";

const MOST_RAW_BYTES = 65_536;

/** The reasons of a connection that was closed because of what its peer did: it sends without end, or reads nothing. */
export const MUCH_UNREAD = "more bytes than a login may leave unread";
export const MUCH_UNSENT = "the peer does not read what the login sends";

/** How TLS begins on a connection. */
export interface TlsStarter {
  /** Throws INVALID_OPTION for options that are none. */
  check(options: ConnectionOptions): ConnectionOptions;
  /** Rejects with a RespliceError, and then the connection is closed. */
  start(connection: Connection, options: ConnectionOptions): Promise<Connection>;
}

export interface LoginConnectionTerms {
  /** The id of the connection. */
  readonly id: number;
  /** Aborted when the connection is given up, with a RespliceError. */
  readonly signal: AbortSignal;
  /** The peer may send so much, besides one message, that the function has not received. */
  readonly mostUnreadBytes: number;
  /** Undefined at a server, which cannot begin TLS in the middle of a connection. */
  readonly tls: TlsStarter | undefined;
}

export interface LoginLink {
  readonly core: PlainLinkCore;
  readonly driver: Driver;
  readonly clock: Clock;
}

export class Login implements LoginConnection {
  readonly id: number;
  readonly signal: AbortSignal;
  readonly #link: LoginLink;
  readonly #mostUnreadBytes: number;
  readonly #tls: TlsStarter | undefined;
  readonly #unread: Message[] = [];
  #unreadBytes = 0;
  #receiving: Wait<Message> | undefined;
  #isOver = false;
  /** The connection was detached, for TLS to begin on it, and is not attached again. */
  #isBetween = false;
  #tlsError: RespliceError | undefined;

  constructor(link: LoginLink, { id, signal, mostUnreadBytes, tls }: LoginConnectionTerms) {
    this.id = id;
    this.signal = signal;
    this.#link = link;
    this.#mostUnreadBytes = mostUnreadBytes;
    this.#tls = tls;
  }

  get remoteAddress(): string | undefined {
    return this.#link.driver.addressOf(this.id);
  }

  /**
   * Calls the function. Resolves when the connection is in use; rejects with what the function has thrown, or with the
   * reason of the signal.
   */
  async run(login: (connection: LoginConnection) => Promise<void>): Promise<void> {
    const { core, driver, clock } = this.#link;
    const { signal } = this;
    signal.throwIfAborted();
    const done = abortableWait<void>(signal, () => signal.reason as Error);
    // The function may throw at once, and may go on after the signal was aborted.
    const call = async (): Promise<void> => login(this);
    call().then(done.resolve, done.reject);
    try {
      await done.promise;
      // The function has gone on without the TLS that it has begun.
      if (this.#isBetween) throw this.#tlsError ?? new RespliceError("CONNECTION_LOST", "TLS was not awaited");
    } catch (error) {
      // Nobody else closes a connection that is between two.
      if (this.#isBetween) this.#close("TLS was not started");
      else this.#closeBehindSent();
      throw error;
    } finally {
      this.#isOver = true;
      this.#receiving?.reject(new RespliceError("INVALID_STATE", "the login is over"));
    }
    core.loginDone(this.id, this.#unread.splice(0), clock.now());
    driver.run();
  }

  /** A message has arrived on the connection. */
  onMessage(message: Buffer): void {
    if (this.#isOver) return;
    const receiving = this.#receiving;
    this.#receiving = undefined;
    if (receiving !== undefined) return receiving.resolve(message as Message);
    this.#unread.push(message as Message);
    this.#unreadBytes += message.length + ENTRY_BYTES;
    if (this.#unreadBytes <= this.#link.core.maxMessageBytes + this.#mostUnreadBytes) return;
    this.#close(MUCH_UNREAD);
  }

  #close(reason: string): void {
    const { core, driver, clock } = this.#link;
    core.connectionClosed(this.id, reason, clock.now());
    driver.run();
  }

  /** What the function has sent may say why it has thrown. Does nothing if the connection was given up before. */
  #closeBehindSent(): void {
    const { core, driver } = this.#link;
    core.loginFailed(this.id);
    driver.run();
  }

  send(message: Payload): void {
    this.#write(message, "framed");
  }

  sendRaw(bytes: Payload): void {
    this.#write(bytes, "raw");
  }

  #write(given: Payload, how: "framed" | "raw"): void {
    this.#checkGoesOn();
    const { core, driver } = this.#link;
    core.loginSend(this.id, Buffer.from(given as Uint8Array), how);
    driver.run();
    if (core.loginUnsentBytes > core.maxMessageBytes + this.#mostUnreadBytes) this.#close(MUCH_UNSENT);
  }

  #checkGoesOn(): void {
    this.signal.throwIfAborted();
    if (this.#isOver) throw new RespliceError("INVALID_STATE", "the login is over: use the link");
  }

  async receive(): Promise<Message> {
    this.#checkGoesOn();
    const message = this.#unread.shift();
    if (message === undefined) return this.#next();
    this.#unreadBytes -= message.length + ENTRY_BYTES;
    return message;
  }

  async receiveRaw(bytes: number): Promise<Message> {
    this.#checkGoesOn();
    integer("bytes", bytes, 1, MOST_RAW_BYTES);
    this.#link.core.loginExpect(this.id, bytes);
    return this.#next();
  }

  #next(): Promise<Message> {
    if (this.#receiving !== undefined) throw new RespliceError("CONSUMER_BUSY", "another receive() waits already");
    const { signal } = this;
    const wait = abortableWait<Message>(signal, () => signal.reason as Error);
    this.#receiving = wait;
    return wait.promise;
  }

  async startTls(options: ConnectionOptions = {}): Promise<void> {
    this.#checkGoesOn();
    if (this.#tls === undefined) {
      throw new RespliceError("NOT_SUPPORTED", "a server cannot begin TLS in the middle of a connection: use `tls`");
    }
    const checked = this.#tls.check(options);
    const { core, driver } = this.#link;
    const { id } = this;
    if (!core.startTls(id, this.#unread.length)) {
      driver.run();
      throw new RespliceError("PROTOCOL_ERROR", "bytes came behind the answer that allowed TLS");
    }
    const connection = driver.detach(id);
    if (connection === undefined) throw new RespliceError("CONNECTION_LOST", "the connection is gone");
    this.#isBetween = true;
    let secured: Connection;
    try {
      secured = await this.#tls.start(connection, checked);
    } catch (error) {
      this.#tlsError = error as RespliceError;
      throw error;
    }
    this.#isBetween = false;
    driver.attach(id, secured);
    core.tlsStarted(id);
  }
}
