/** A connection of a client that is not let in yet: its TLS handshake or its login is under way. */
import { RespliceError } from "../link/errors.ts";
import type { Clock, Connection, Timer } from "../link/ports.ts";
import type { LoginConnection } from "../plain/plain.ts";
import { Login, MUCH_UNREAD, MUCH_UNSENT } from "../plain-link/login.ts";
import { messageOf } from "../telemetry/thrown.ts";
import type { Lingering } from "./lingering.ts";
import type { Guest } from "./tls-handshakes.ts";
import { peerOf } from "./peer.ts";
import type { ArrivalOfLink, PlainServerLink } from "./plain-link.ts";
import type { Refusals } from "./refusals.ts";

export interface ArrivalHost {
  readonly clock: Clock;
  readonly refusals: Refusals;
  readonly login: ((connection: LoginConnection) => Promise<void>) | undefined;
  /** From the opening of the connection until its client is let in. */
  readonly handshakeMs: number;
  readonly lingering: Lingering;
  newLink(arrival: Arrival): PlainServerLink;
  onLetIn(arrival: Arrival, served: PlainServerLink): void;
  onSevered(served: PlainServerLink): void;
  /** The connection is closed, or will be, and its client was not let in. */
  onOver(arrival: Arrival): void;
}

/** A client may send so much, besides one message, that the login has not received: nobody knows yet who it is. */
const MOST_UNREAD_BYTES = 65_536;
/** A link has one connection. */
const ID = 1;

export class Arrival implements Guest, ArrivalOfLink {
  /** The address by which the client is counted. */
  readonly peer: string;
  readonly beganMs: number;
  readonly #host: ArrivalHost;
  #connection: Connection;
  /** Made where there is something to wait for: most links of a large server keep their arrival for a long time. */
  #deadline: Timer | undefined;
  #served: PlainServerLink | undefined;
  #login: Login | undefined;
  #abort: AbortController | undefined;
  #isOver = false;

  constructor(connection: Connection, host: ArrivalHost) {
    this.peer = peerOf(connection.remoteAddress);
    this.beganMs = host.clock.now();
    this.#connection = connection;
    this.#host = host;
  }

  start(isSecured: boolean): void {
    const { clock, handshakeMs, login } = this.#host;
    if (!isSecured || login !== undefined) {
      this.#deadline = clock.timer(() => this.reject("handshake timed out", ""));
      this.#deadline.set(clock.now() + handshakeMs);
    }
    if (isSecured) return this.#begin();
    this.#connection.handler = { onData: () => undefined, onDrain: () => {}, onClosed: () => this.#leave("closed") };
  }

  secured(connection: Connection): void {
    this.#connection = connection;
    this.#begin();
  }

  #begin(): void {
    const { clock, login } = this.#host;
    const served = this.#host.newLink(this);
    this.#served = served;
    const { core, driver } = served;
    core.opened(ID, clock.now());
    driver.attach(ID, this.#connection);
    if (login === undefined || this.#isOver) return driver.run();
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    this.#login = new Login(
      { core, driver, clock },
      { id: ID, signal, mostUnreadBytes: MOST_UNREAD_BYTES, tls: undefined },
    );
    driver.run();
    void this.#logIn(this.#login, login);
  }

  async #logIn(work: Login, login: NonNullable<ArrivalHost["login"]>): Promise<void> {
    try {
      await work.run(login);
    } catch (thrown) {
      if (this.#isOver) return;
      const isRefused = thrown instanceof RespliceError && thrown.code === "LOGIN_REFUSED";
      const failure = isRefused ? undefined : { hook: "login", thrown };
      const reason = isRefused ? "login refused" : "login() failed";
      this.#host.refusals.rejected(this.remoteAddress, reason, messageOf(thrown), failure);
      this.#leave(reason);
      // By now the connection ends behind what the function has sent; only a few are waited for.
      this.#host.lingering.end(this.#connection, []);
    }
  }

  get remoteAddress(): string {
    return this.#connection.remoteAddress;
  }

  onMessage(message: Buffer): void {
    this.#login?.onMessage(message);
  }

  onLetIn(): void {
    this.#over();
    this.#host.onLetIn(this, this.#served as PlainServerLink);
  }

  onSevered(): void {
    this.#host.onSevered(this.#served as PlainServerLink);
  }

  onLost(reason: string, detail: string): void {
    // A client that goes away while it logs in has done nothing wrong.
    if (detail !== "" || reason === MUCH_UNREAD || reason === MUCH_UNSENT) this.reject(reason, detail);
    else this.giveUp(reason);
  }

  /** Closes the connection because of what the client did, and counts that. */
  reject(reason: string, detail: string): void {
    if (this.#isOver) return;
    this.#host.refusals.rejected(this.remoteAddress, reason, detail);
    this.giveUp(reason);
  }

  /** Closes the connection. */
  giveUp(reason: string): void {
    if (this.#isOver) return;
    this.#leave(reason);
    this.#connection.destroy();
  }

  /** The client is not let in. */
  #leave(reason: string): void {
    if (this.#isOver) return;
    this.#over();
    this.#abort?.abort(new RespliceError("CONNECTION_LOST", reason));
    this.#served?.stop();
    this.#host.onOver(this);
  }

  #over(): void {
    this.#isOver = true;
    this.#deadline?.clear();
    this.#deadline = this.#login = undefined;
  }
}
