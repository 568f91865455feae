/** One link of a server, with its core, its driver and its engine. */
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

/** The parts of the server that its links use. */
export interface ServerHost {
  readonly options: ResolvedLinkOptions & { authenticate: unknown; logger: LogSink | undefined };
  readonly clock: Clock;
  readonly channels: ChannelIo;
  /** The application can no longer send on the link. */
  onLeft(served: ServerLinkOwner): void;
  /** A handler of the link has thrown. Answers whether anybody listens for that. */
  onHandlerFailed(served: ServerLinkOwner, thrown: unknown): boolean;
  onEnded(served: ServerLinkOwner): void;
  /** Neither end needs the session any more. */
  onGone(served: ServerLinkOwner): void;
}

export class ServerLinkOwner implements LinkOwner {
  readonly core: ServerLinkCore;
  readonly driver: Driver;
  readonly engine: LinkEngine;
  /** The object that the application holds. */
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

  /** Always false: a link at a server has had a client, who must be told of the end. */
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
