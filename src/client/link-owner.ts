/** One link of a manager, with its core, its driver, its engine and its dial loop, whatever its protocol. */
import { newId } from "../core/session/proof.ts";
import type { SharedMemory } from "../core/session/session.ts";
import { Driver } from "../link/driver.ts";
import { LinkEngine } from "../link/engine.ts";
import type { RespliceError } from "../link/errors.ts";
import { LinkHandle } from "../link/link.ts";
import type { ResolvedLinkOptions } from "../link/options.ts";
import type { LinkOwner } from "../link/owner.ts";
import type { Timer } from "../link/ports.ts";
import type { ChannelIo, Protocol, ProtocolEvent } from "../link/protocol.ts";
import type { Link, StateChange } from "../link/types.ts";
import { Unfinished } from "../link/unfinished.ts";
import type { Journal } from "../telemetry/journal.ts";
import type { LinkIds } from "../telemetry/record.ts";
import type { DialHost, DialledCore, DialledLink, DialledOptions } from "./connector.ts";
import { Dialer } from "./dialer.ts";
import type { Destination } from "./gate.ts";

/** The core of a client's link. */
export interface ClientCore extends Protocol, ChannelIo, DialledCore {
  /** Ends a link that was never opened, and answers true if so. */
  endUnopened(): boolean;
  /** Bytes received and not accepted yet, and the memory of what is to be sent. */
  readonly heldBytes: number;
}

/** The parts of the manager that its links use. */
export interface ClientHost extends DialHost {
  readonly memory: SharedMemory;
  /** A random id of this process: a server must not take two processes with the same session for one. */
  readonly instance: string;
  /** The application can no longer send on the link. */
  onLeft(opened: ClientLinkOwner): void;
  /** The application can send on the link again: its server went away, and the link moves to another. */
  onBack(opened: ClientLinkOwner): void;
  onEnded(opened: ClientLinkOwner): void;
  /** The link has ended with this error, though the application had not closed it. */
  onLost(opened: ClientLinkOwner, error: RespliceError): void;
  /** The application has closed the link, which may have ended before. */
  onCloseCalled(opened: ClientLinkOwner): void;
  /** Nothing is left of the link: neither end needs the session any more. May be called again. */
  onGone(opened: ClientLinkOwner): void;
}

export interface ClientLinkTerms {
  core: ClientCore;
  /** For the machinery of the link. */
  link: ResolvedLinkOptions;
  options: DialledOptions;
  openPayload: Buffer;
}

export class ClientLinkOwner implements LinkOwner {
  readonly core: ClientCore;
  readonly driver: Driver;
  readonly dialer: Dialer;
  readonly engine: LinkEngine;
  /** The object that the application holds. */
  readonly link: Link;
  readonly openPayload: Buffer;
  /** Why the link has its state. */
  reason = "opened";
  #isCloseCalled = false;
  readonly #host: ClientHost;
  /** Made when the application first says that it has work to do. */
  #unfinished: Unfinished | undefined;
  /** Made when the link is let go of. */
  #leaving: { readonly timer: Timer; dueMs: number; readonly left: PromiseWithResolvers<void> } | undefined;

  constructor({ core, link, options, openPayload }: ClientLinkTerms, host: ClientHost) {
    this.#host = host;
    this.openPayload = openPayload;
    this.core = core;
    this.driver = new Driver(core, core, host.clock);
    this.driver.followsLeaving = true;
    const { login } = this;
    this.dialer = new Dialer({ core, driver: this.driver, options, host, login });
    this.engine = new LinkEngine(newId(host.entropy).slice(0, 12), this.driver, link, this);
    this.link = this.newLink();
  }

  /** Logs a new connection in; undefined if the protocol has no login. */
  protected get login(): DialledLink["login"] {
    return undefined;
  }

  protected newLink(): Link {
    return new LinkHandle(this.engine);
  }

  /** Where the link goes. */
  get destination(): Destination {
    return this.dialer.destination;
  }

  // Getters: a field of its own would take memory in each link.
  get identity(): undefined {
    return undefined;
  }

  get claims(): undefined {
    return undefined;
  }

  get isServing(): boolean {
    return false;
  }

  get hearsHandlerErrors(): boolean {
    return false;
  }

  get journal(): Journal {
    return this.#host.journal;
  }

  get ids(): LinkIds {
    return { link: this.link.id, session: this.core.sessionId };
  }

  get isAtWork(): boolean {
    return this.#unfinished?.isPending === true;
  }

  waitUntil(promise: unknown): void {
    this.#unfinished ??= new Unfinished(
      this.core,
      () => {
        if (!this.engine.isOver) this.driver.run();
      },
      (error) => this.engine.failHandler(error),
    );
    this.#unfinished.add(promise);
  }

  endUnopened(): boolean {
    const isEmpty = (this.engine.outgoing.backlog?.messages ?? 0) === 0;
    return isEmpty && this.core.endUnopened();
  }

  hold(): void {
    this.dialer.hold();
  }

  retryNow(): void {
    this.dialer.retryNow();
  }

  holdProcess(isHeld: boolean): void {
    this.dialer.holdProcess(isHeld);
  }

  onStepComplete(): void {
    this.dialer.check();
    this.#look();
  }

  #look(): void {
    if (!this.core.gone || this.driver.isLeaving) return;
    this.#host.onGone(this);
    this.#leaving?.timer.clear();
    this.#leaving?.left.resolve();
  }

  letGo(dueMs: number): Promise<void> {
    const leaving = (this.#leaving ??= {
      timer: this.#host.clock.timer(() => this.#leave()),
      dueMs: Infinity,
      left: Promise.withResolvers<void>(),
    });
    if (dueMs < leaving.dueMs) {
      leaving.dueMs = dueMs;
      leaving.timer.set(dueMs);
    }
    this.#look();
    return leaving.left.promise;
  }

  /** The peer was waited for long enough. */
  #leave(): void {
    this.core.abandon("closed");
    this.driver.run();
    this.driver.dropLeaving();
  }

  onEvent(event: ProtocolEvent): void {
    this.dialer.onEvent(event);
  }

  onState(change: StateChange): void {
    const error = "error" in change ? change.error : undefined;
    this.reason = error === undefined ? change.reason : `${change.reason}: ${error.message}`;
    const lost = change.to === "closed" && !this.#isCloseCalled ? change.error : undefined;
    if (lost !== undefined) this.#host.onLost(this, lost);
    if (change.to === "draining" || change.to === "closed") this.#host.onLeft(this);
    else if (change.from === "draining") this.#host.onBack(this);
  }

  onCloseCalled(): void {
    this.#isCloseCalled = true;
    this.#host.onCloseCalled(this);
  }

  onHandlerFailed(): void {}

  onEnded(): void {
    this.#host.onEnded(this);
  }
}
