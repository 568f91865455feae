/** One link of a server, with its core, its driver and its engine. */
import type { ServerLinkCore } from "../core/server/link-core.ts";
import type { LinkCoreEvent } from "../core/session/link-events.ts";
import { Driver } from "../link/driver.ts";
import { LinkEngine } from "../link/engine.ts";
import { LinkHandle } from "../link/link.ts";
import type { ResolvedLinkOptions } from "../link/options.ts";
import type { LinkOwner } from "../link/owner.ts";
import type { Clock } from "../link/ports.ts";
import type { ChannelIo } from "../link/protocol.ts";
import type { Link, StateChange } from "../link/types.ts";
import type { Journal } from "../telemetry/journal.ts";
import type { LinkIds } from "../telemetry/record.ts";

/** The parts of the server that its links use. */
export interface ServerHost {
  readonly options: ResolvedLinkOptions & { authenticate: unknown };
  readonly journal: Journal;
  readonly clock: Clock;
  readonly channels: ChannelIo;
  /** The application can no longer send on the link. */
  onLeft(served: ServerLinkOwner): void;
  /** A handler of the link has thrown. */
  onHandlerFailed(served: ServerLinkOwner, thrown: unknown): void;
  /** Whether `onHandlerFailed()` tells a listener of the application. */
  hearsHandlerErrors(): boolean;
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
    this.link = new LinkHandle(this.engine);
  }

  get journal(): Journal {
    return this.#host.journal;
  }

  get ids(): LinkIds {
    return { link: this.link.id, session: this.core.sessionId, identity: this.core.identity };
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

  hold(): void {}

  retryNow(): void {}

  onStepComplete(): void {
    if (!this.core.gone) return;
    this.driver.stop();
    this.#host.onGone(this);
  }

  onEvent(event: LinkCoreEvent): void {
    if (event.type === "disconnected") this.engine.waiting(0, 0, event.reason, undefined);
  }

  onState({ to }: StateChange): void {
    if (to === "draining" || to === "closed") this.#host.onLeft(this);
  }

  get hearsHandlerErrors(): boolean {
    return this.#host.hearsHandlerErrors();
  }

  onHandlerFailed(thrown: unknown): void {
    this.#host.onHandlerFailed(this, thrown);
  }

  onEnded(): void {
    this.#host.onEnded(this);
  }
}
