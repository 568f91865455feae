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
import type { Link, LinkReport, StateChange, Undelivered } from "../link/types.ts";
import { countByDelivery, type DeliveryCounts, recordUndelivered } from "../link/undelivered.ts";
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

  onState(change: StateChange): void {
    if (change.to === "draining" || change.to === "closed") this.#host.onLeft(this);
    this.#host.journal.record({ event: "link.state", ids: this.#ids, change });
  }

  onRecovered(recoveryMs: number): void {
    this.#host.journal.record({ event: "link.recovered", ids: this.#ids, recoveryMs });
  }

  onUndelivered(reason: Undelivered["reason"], counts: DeliveryCounts): void {
    recordUndelivered(this.#host.journal, this.#ids, reason, counts);
  }

  onHandlerFailed(thrown: unknown, isHeard: boolean): void {
    const host = this.#host;
    const isHeardAnywhere = isHeard || host.hearsHandlerErrors();
    host.journal.record({ event: "link.handler-failed", ids: this.#ids, thrown, isHeard: isHeardAnywhere });
    host.onHandlerFailed(this, thrown);
  }

  onEnded({ undelivered }: LinkReport): void {
    this.#host.onEnded(this);
    recordUndelivered(this.#host.journal, this.#ids, "ended", countByDelivery(undelivered));
  }

  /** For the records about this link. */
  get #ids(): LinkIds {
    return { link: this.link.id, session: this.core.sessionId, identity: this.core.identity };
  }
}
