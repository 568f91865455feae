/** One link of a server, with its core, its driver and its engine, whatever its protocol. */
import { Driver } from "../link/driver.ts";
import { LinkEngine } from "../link/engine.ts";
import type { ResolvedLinkOptions } from "../link/options.ts";
import type { LinkOwner } from "../link/owner.ts";
import type { Clock } from "../link/ports.ts";
import type { ChannelIo, Protocol, ProtocolEvent } from "../link/protocol.ts";
import type { Pace } from "../link/turn.ts";
import type { Link, StateChange } from "../link/types.ts";
import { Unfinished } from "../link/unfinished.ts";
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
  /** In [0, 1). */
  random(): number;
  /** The application can no longer send on the link. */
  onLeft(served: ServerLinkOwner): void;
  /** A handler of the link has thrown. */
  onHandlerFailed(served: ServerLinkOwner, thrown: unknown): void;
  /** Whether `onHandlerFailed()` tells a listener of the application. */
  hearsHandlerErrors(): boolean;
  /** A promise that `waitUntil()` was given has settled, and has not failed. */
  onFinished(served: ServerLinkOwner): void;
  onEnded(served: ServerLinkOwner): void;
  /** The link's core is gone. */
  onGone(served: ServerLinkOwner): void;
  readonly rates: Rates;
}

/** What a link costs its server, and what it would cost its client to come back. */
export interface LinkLoad {
  heldBytes: number;
  /** Bytes to write: written and not received yet, or waiting in this process. */
  pendingBytes: number;
  /** Since when none of them has got on. */
  progressMs: number;
  /** Bytes that were sent and not accepted yet. */
  logBytes: number;
  /** Bytes that were received and not accepted yet. */
  receivedBytes: number;
  /** When it was connected; 0 for links of which the order of their connections is enough. */
  connectedMs: number;
  /** It has a connection that the server may let go of. */
  isSheddable: boolean;
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
  /**
   * "pending": an async handler of serve() is at work. "returned": it has returned, and the link is closed when nothing
   * is unfinished. "other": no handler was called yet, or it is none that says when it is done, or that was heeded
   * already.
   */
  handler: "pending" | "returned" | "other" = "other";
  /** The host was told of the link's end. */
  isEnded = false;
  protected readonly host: ServerHost;
  /** Made when the application first says that it has work to do. */
  #unfinished: Unfinished | undefined;
  /** Made when the link is read while there are rates. */
  #pace: LinkPace | undefined;

  constructor({ core, channels, id, options }: ServedTerms, host: ServerHost) {
    this.core = core;
    this.host = host;
    this.driver = new Driver(core, channels, host.clock);
    this.engine = new LinkEngine(id, this.driver, options, this);
    this.link = this.newLink();
  }

  get isServing(): boolean {
    return this.handler === "pending";
  }

  get isAtWork(): boolean {
    return this.#unfinished?.isPending === true;
  }

  waitUntil(promise: unknown): void {
    this.#unfinished ??= new Unfinished(
      this.core,
      () => this.host.onFinished(this),
      (error) => this.engine.failHandler(error),
    );
    this.#unfinished.add(promise);
  }

  protected abstract newLink(): Link;

  // ── what its server may do without ──────────────────────────────────────────────────────────────────────────────

  abstract load(): LinkLoad;

  /** Since when it waits for its client, and could be ended; Infinity: it does not wait. */
  abstract waitsSinceMs(): number;

  /** Ends a link that waits. */
  abstract evict(): void;

  /** Bytes that wait for the consumer, and that the client would send again: it has no connection. */
  abstract readonly forgettableBytes: number;

  /** Forgets these bytes. Answers how many they were. */
  abstract forgetReceived(): number;

  /** Gives its connection up, of which nothing is written any more. */
  closeStalled(): void {
    const { adopted } = this.core;
    if (adopted !== undefined) this.driver.drop(adopted.id, "write-stalled");
  }

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

  holdProcess(): void {}
  onCloseCalled(): void {}

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
