/** One link of a manager, with its core, its driver, its engine and its dial loop. */
import { ClientLinkCore } from "../core/client/link-core.ts";
import { newId } from "../core/session/proof.ts";
import type { LinkCoreEvent } from "../core/session/link-events.ts";
import type { SharedMemory } from "../core/session/session.ts";
import { Driver } from "../link/driver.ts";
import { LinkEngine } from "../link/engine.ts";
import { DurableLink } from "../link/link.ts";
import { coreOptions } from "../link/options.ts";
import type { LinkOwner } from "../link/owner.ts";
import type { Link, LinkReport, StateChange, Undelivered } from "../link/types.ts";
import { countByDelivery, type DeliveryCounts, recordUndelivered } from "../link/undelivered.ts";
import type { LinkIds } from "../telemetry/record.ts";
import type { DialHost } from "./connector.ts";
import { Dialer } from "./dialer.ts";
import type { ResolvedOpenOptions } from "./options.ts";

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
  /** Neither end needs the session any more. May be called again. */
  onGone(opened: ClientLinkOwner): void;
}

export class ClientLinkOwner implements LinkOwner {
  readonly core: ClientLinkCore;
  readonly driver: Driver;
  readonly dialer: Dialer;
  readonly engine: LinkEngine;
  /** The object that the application holds. */
  readonly link: Link;
  readonly identity: undefined = undefined;
  readonly claims: undefined = undefined;
  readonly isServing = false;
  readonly openPayload: Buffer;
  readonly #host: ClientHost;

  constructor(options: ResolvedOpenOptions, host: ClientHost) {
    const { instance, memory } = host;
    const { openPayload, whenSessionLost } = options;
    this.#host = host;
    this.openPayload = openPayload;
    this.core = new ClientLinkCore(
      { ...coreOptions(options, memory), instance, epoch: 1, openPayload, whenSessionLost },
      host.entropy,
    );
    this.driver = new Driver(this.core, this.core, host.clock);
    this.dialer = new Dialer({ core: this.core, driver: this.driver, options, host });
    this.engine = new LinkEngine(newId(host.entropy).slice(0, 12), this.driver, options, this);
    this.link = new DurableLink(this.engine);
  }

  endUnopened(): boolean {
    return this.core.endUnopened();
  }

  retryNow(): void {
    this.dialer.retryNow();
  }

  onStepComplete(): void {
    this.dialer.check();
    if (this.core.gone) this.#host.onGone(this);
  }

  onEvent(event: LinkCoreEvent): void {
    this.dialer.onEvent(event);
  }

  onState(change: StateChange): void {
    if (change.to === "draining" || change.to === "closed") this.#host.onLeft(this);
    else if (change.from === "draining") this.#host.onBack(this);
    this.#host.journal.record({ event: "link.state", ids: this.#ids, change });
  }

  onRecovered(recoveryMs: number): void {
    this.#host.journal.record({ event: "link.recovered", ids: this.#ids, recoveryMs });
  }

  onUndelivered(reason: Undelivered["reason"], counts: DeliveryCounts): void {
    recordUndelivered(this.#host.journal, this.#ids, reason, counts);
  }

  onHandlerFailed(thrown: unknown, isHeard: boolean): void {
    this.#host.journal.record({ event: "link.handler-failed", ids: this.#ids, thrown, isHeard });
  }

  onEnded({ undelivered }: LinkReport): void {
    this.#host.onEnded(this);
    recordUndelivered(this.#host.journal, this.#ids, "ended", countByDelivery(undelivered));
  }

  /** For the records about this link. */
  get #ids(): LinkIds {
    return { link: this.link.id, session: this.core.sessionId };
  }
}
