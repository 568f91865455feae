/** One link of a server, with its core, its driver and its engine, whatever its protocol. */
import { Driver } from "../link/driver.ts";
import { LinkEngine } from "../link/engine.ts";
import type { ResolvedLinkOptions } from "../link/options.ts";
import type { LinkOwner } from "../link/owner.ts";
import type { Clock } from "../link/ports.ts";
import type { ChannelIo, Protocol, ProtocolEvent } from "../link/protocol.ts";
import type { Pace } from "../link/turn.ts";
import type { Link, StateChange } from "../link/types.ts";
import type { Journal } from "../telemetry/journal.ts";
import type { LinkIds } from "../telemetry/record.ts";
import type { LinkPace, Rates } from "./rates.ts";

/** The core of a server's link. */
export interface ServedCore extends Protocol {
  /** Neither end needs it any more. */
  readonly gone: boolean;
  /** Bytes received and not accepted yet, and the memory of what is to be sent. */
  readonly heldBytes: number;
}

/** The parts of the server that its links use. */
export interface ServerHost {
  readonly journal: Journal;
  readonly clock: Clock;
  /** The application can no longer send on the link. */
  onLeft(served: ServerLinkOwner): void;
  /** A handler of the link has thrown. */
  onHandlerFailed(served: ServerLinkOwner, thrown: unknown): void;
  /** Whether `onHandlerFailed()` tells a listener of the application. */
  hearsHandlerErrors(): boolean;
  onEnded(served: ServerLinkOwner): void;
  /** The link's core is gone. */
  onGone(served: ServerLinkOwner): void;
  readonly rates: Rates;
}

export interface ServedTerms {
  core: ServedCore;
  channels: ChannelIo;
  id: string;
  options: ResolvedLinkOptions;
}

export abstract class ServerLinkOwner implements LinkOwner {
  readonly core: ServedCore;
  readonly driver: Driver;
  readonly engine: LinkEngine;
  /** The object that the application holds. */
  readonly link: Link;
  isServing = false;
  /** The host was told of the link's end. */
  isEnded = false;
  protected readonly host: ServerHost;
  /** Made when the link is read while there are rates. */
  #pace: LinkPace | undefined;

  constructor({ core, channels, id, options }: ServedTerms, host: ServerHost) {
    this.core = core;
    this.host = host;
    this.driver = new Driver(core, channels, host.clock);
    this.engine = new LinkEngine(id, this.driver, options, this);
    this.link = this.newLink();
  }

  protected abstract newLink(): Link;

  abstract readonly ids: LinkIds;
  abstract readonly identity: string | undefined;
  abstract readonly claims: unknown;
  abstract readonly openPayload: Buffer;
  abstract onEvent(event: ProtocolEvent): void;

  get journal(): Journal {
    return this.host.journal;
  }

  /** Always false: a link at a server has had a client, who must be told of the end. */
  endUnopened(): boolean {
    return false;
  }

  hold(): void {}

  retryNow(): void {}

  get pace(): Pace | undefined {
    const { rates } = this.host;
    return rates.isLimited ? (this.#pace ??= rates.paceOf(this)) : undefined;
  }

  onStepComplete(): void {
    if (!this.core.gone) return;
    this.stop();
    this.host.onGone(this);
  }

  /** Nothing is read or written any more. */
  stop(): void {
    this.driver.stop();
    this.#pace?.end();
  }

  onState({ to }: StateChange): void {
    if (to === "draining" || to === "closed") this.host.onLeft(this);
  }

  get hearsHandlerErrors(): boolean {
    return this.host.hearsHandlerErrors();
  }

  onHandlerFailed(thrown: unknown): void {
    this.host.onHandlerFailed(this, thrown);
  }

  onEnded(): void {
    this.isEnded = true;
    this.host.onEnded(this);
  }
}
