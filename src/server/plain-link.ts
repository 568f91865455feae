/** A server's link to a client that is not resplice. */
import type { Timer } from "../link/ports.ts";
import type { ProtocolEvent } from "../link/protocol.ts";
import type { CloseOptions, Link } from "../link/types.ts";
import type { ServedPlainCore } from "../plain/served-core.ts";
import { NO_PAYLOAD, PlainLinkHandle } from "../plain-link/handle.ts";
import type { LinkIds } from "../telemetry/record.ts";
import { type LinkLoad, type ServedTerms, type ServerHost, ServerLinkOwner } from "./link-owner.ts";

/** The connection on which the client of a link came, before it is let in. */
export interface ArrivalOfLink {
  onMessage(message: Buffer): void;
  onLetIn(): void;
  /** The connection is over, and the link is not: its messages are still to be read. */
  onSevered(): void;
  /**
   * The connection was lost, or given up, while its login was under way. `detail`: "" unless the client made a mistake.
   */
  onLost(reason: string, detail: string): void;
}

/** A link that is shed may take so long to answer what its handler was handed. */
const SHED_WITHIN_MS = 1_000;
/** Messages that nobody reads are kept so long after the end of their connection. */
const UNREAD_MS = 60_000;
/** The same while an async handler is pending. It may come to read them, or wait for the end of the link. */
const UNREAD_PENDING_MS = 600_000;

export class PlainServerLink extends ServerLinkOwner {
  declare readonly core: ServedPlainCore;
  readonly identity: undefined = undefined;
  readonly claims: undefined = undefined;
  readonly openPayload: Buffer = NO_PAYLOAD;
  readonly #arrival: ArrivalOfLink;
  #unreadTimer: Timer | undefined;
  #unreadSinceMs = 0;
  /** How far its consumer had come when that was last looked at. */
  #handedTo = 0;

  constructor(terms: ServedTerms & { core: ServedPlainCore }, arrival: ArrivalOfLink, host: ServerHost) {
    super(terms, host);
    this.#arrival = arrival;
  }

  protected override newLink(): Link {
    return new PlainLinkHandle(this.engine);
  }

  get ids(): LinkIds {
    return { link: this.link.id, session: "", identity: "" };
  }

  onEvent(event: ProtocolEvent): void {
    switch (event.type) {
      case "login-message":
        this.#arrival.onMessage(event.message);
        break;
      case "connected":
        this.#arrival.onLetIn();
        break;
      case "attempt-failed":
        this.#arrival.onLost(event.reason, event.fault?.detail ?? "");
        break;
      case "severed":
        this.#arrival.onSevered();
        break;
      case "leaving":
        // The connection is unused, or old: the handler has the time of any close() to answer.
        if (event.reason === "shed") this.engine.leave({ deadlineMs: SHED_WITHIN_MS });
        else if (event.reason !== undefined) this.engine.leave({});
        break;
      default:
    }
  }

  /** The server goes away. */
  leave(options: CloseOptions): void {
    this.core.leave();
    this.engine.leave(options);
  }

  get #isSheddable(): boolean {
    const { core } = this;
    return core.adopted !== undefined && !core.takesNoMore && !core.ended && !core.outputEnded;
  }

  /** The server is short of something. Answers false if the link is about to end for another reason. */
  shed(): boolean {
    const { core, driver } = this;
    if (!this.#isSheddable) return false;
    core.leave("shed");
    driver.run();
    return true;
  }

  override load(): LinkLoad {
    const { core } = this;
    return {
      heldBytes: core.heldBytes,
      pendingBytes: core.unackedBytes,
      progressMs: core.writingSinceMs,
      logBytes: core.unackedBytes,
      receivedBytes: core.unacceptedBytes,
      connectedMs: 0,
      isSheddable: this.#isSheddable,
    };
  }

  /** Its client cannot come back. */
  override waitsSinceMs(): number {
    return Infinity;
  }

  override evict(): void {}

  /** What has arrived is not sent again. */
  override get forgettableBytes(): number {
    return 0;
  }

  override forgetReceived(): number {
    return 0;
  }

  override onStepComplete(): void {
    super.onStepComplete();
    if (this.core.gone) this.#unreadTimer?.clear();
    else if (this.core.awaitsReader && this.#unreadTimer === undefined) this.#watchReader();
  }

  /** Nobody may ever read what has arrived: the handler has returned, say, and only timers of its own send. */
  #watchReader(): void {
    const { clock } = this.host;
    const timer = (this.#unreadTimer ??= clock.timer(() => this.#lookAtReader()));
    this.#handedTo = this.core.handedTo;
    this.#unreadSinceMs = clock.now();
    timer.set(this.#unreadSinceMs + UNREAD_MS);
  }

  #lookAtReader(): void {
    const { core, engine } = this;
    if (!core.awaitsReader) return;
    if (engine.incoming.hasConsumer || core.handedTo > this.#handedTo) return this.#watchReader();
    const dueMs = this.#unreadSinceMs + UNREAD_PENDING_MS;
    if (this.isServing && this.host.clock.now() < dueMs) return this.#unreadTimer?.set(dueMs);
    core.stopReading();
    this.driver.run();
  }
}
