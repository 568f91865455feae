/** One link of a server, with its core, its driver and its engine: one object each, since there may be very many. */
import type { ServerLinkCore } from "../core/server/link-core.ts";
import type { LinkCoreEvent } from "../core/session/link-events.ts";
import { Driver } from "../link/driver.ts";
import { LinkEngine } from "../link/engine.ts";
import { DurableLink } from "../link/link.ts";
import type { ResolvedLinkOptions } from "../link/options.ts";
import type { LinkOwner } from "../link/owner.ts";
import type { Clock } from "../link/ports.ts";
import type { ChannelIo } from "../link/protocol.ts";
import { reportEnded, reportHandlerFailed, reportState, reportUndelivered } from "../link/report.ts";
import type { Link, LinkReport, StateChange, Undelivered } from "../link/types.ts";
import type { LogSink } from "../telemetry/logger.ts";

/** The server, the same for all its links. */
export interface ServerHost {
  readonly options: ResolvedLinkOptions & { authenticate: unknown; logger: LogSink | undefined };
  readonly clock: Clock;
  readonly channels: ChannelIo;
  /** It can be sent on no more. */
  onLeft(served: ServerLinkOwner): void;
  /** A handler of the link has thrown this. Answers whether anybody listens. */
  onHandlerFailed(served: ServerLinkOwner, thrown: unknown): boolean;
  onEnded(served: ServerLinkOwner): void;
  /** The session is not needed any more, by anybody. */
  onGone(served: ServerLinkOwner): void;
}

export class ServerLinkOwner implements LinkOwner {
  readonly core: ServerLinkCore;
  readonly driver: Driver;
  readonly engine: LinkEngine;
  /** What the application holds. */
  readonly link: Link;
  isServing = false;
  readonly #host: ServerHost;

  constructor(core: ServerLinkCore, id: string, host: ServerHost) {
    this.core = core;
    this.#host = host;
    this.driver = new Driver(core, host.channels, host.clock);
    this.engine = new LinkEngine(id, this.driver, host.options, this);
    this.link = new DurableLink(this.engine);
  }

  get identity(): string | undefined {
    return this.#host.options.authenticate === undefined ? undefined : this.core.identity;
  }

  get claims(): unknown {
    return this.core.claims;
  }

  get openPayload(): Buffer {
    return this.core.openPayload;
  }

  /** A client is always there to be told, or comes back to be. */
  endUnopened(): boolean {
    return false;
  }

  retryNow(): void {}

  onStepComplete(): void {
    if (!this.core.gone) return;
    this.driver.stop();
    this.#host.onGone(this);
  }

  onEvent(event: LinkCoreEvent): void {
    if (event.type === "disconnected") this.engine.waiting(0, 0, event.reason, undefined);
  }

  get ids(): object {
    return { link: this.link.id, session: this.core.sessionId, identity: this.core.identity };
  }

  onState(change: StateChange): void {
    if (change.to === "draining" || change.to === "closed") this.#host.onLeft(this);
    reportState(this.#host.options.logger, this, change);
  }

  onUndelivered(event: Undelivered): void {
    reportUndelivered(this.#host.options.logger, this, event);
  }

  onHandlerFailed(thrown: unknown): boolean {
    const isLogged = reportHandlerFailed(this.#host.options.logger, this, thrown);
    return this.#host.onHandlerFailed(this, thrown) || isLogged;
  }

  onEnded(ended: LinkReport): void {
    this.#host.onEnded(this);
    reportEnded(this.#host.options.logger, this, ended);
  }
}
