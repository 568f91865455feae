/** One link of a manager, with what belongs to it: its core, its driver, its engine and its dial loop. */
import { ClientLinkCore } from "../core/client/link-core.ts";
import { newId } from "../core/session/proof.ts";
import type { LinkCoreEvent } from "../core/session/link-events.ts";
import type { SharedMemory } from "../core/session/session.ts";
import { Driver } from "../link/driver.ts";
import { LinkEngine } from "../link/engine.ts";
import { DurableLink } from "../link/link.ts";
import { coreOptions } from "../link/options.ts";
import type { LinkOwner } from "../link/owner.ts";
import { reportEnded, reportHandlerFailed, reportState, reportUndelivered } from "../link/report.ts";
import type { Link, LinkReport, StateChange, Undelivered } from "../link/types.ts";
import type { DialHost } from "./connector.ts";
import { Dialer } from "./dialer.ts";
import type { ResolvedOpenOptions } from "./options.ts";

/** The manager, the same for all its links. */
export interface ClientHost extends DialHost {
  readonly memory: SharedMemory;
  /** One for each process: two processes of the same session must not be taken for one. */
  readonly instance: string;
  onConnected(opened: ClientLinkOwner): void;
  /** It can be sent on no more. */
  onLeft(opened: ClientLinkOwner): void;
  /** It can be sent on again: its server went away, and it has not. */
  onBack(opened: ClientLinkOwner): void;
  onEnded(opened: ClientLinkOwner): void;
  /** The session is not needed any more, by anybody. May be told again. */
  onGone(opened: ClientLinkOwner): void;
}

export class ClientLinkOwner implements LinkOwner {
  readonly core: ClientLinkCore;
  readonly driver: Driver;
  readonly dialer: Dialer;
  readonly engine: LinkEngine;
  /** What the application holds. */
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
    if (event.type === "connected") this.#host.onConnected(this);
  }

  get ids(): object {
    return { link: this.link.id, session: this.core.sessionId };
  }

  onState(change: StateChange): void {
    if (change.to === "draining" || change.to === "closed") this.#host.onLeft(this);
    else if (change.from === "draining") this.#host.onBack(this);
    reportState(this.#host.logger, this, change);
  }

  onUndelivered(event: Undelivered): void {
    reportUndelivered(this.#host.logger, this, event);
  }

  onHandlerFailed(thrown: unknown): boolean {
    return reportHandlerFailed(this.#host.logger, this, thrown);
  }

  onEnded(ended: LinkReport): void {
    this.#host.onEnded(this);
    reportEnded(this.#host.logger, this, ended);
  }
}
