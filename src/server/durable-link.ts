/** A server's link to a resplice client. */
import type { ServerLinkCore } from "../core/server/link-core.ts";
import { LinkHandle } from "../link/link.ts";
import type { ProtocolEvent } from "../link/protocol.ts";
import type { Link } from "../link/types.ts";
import type { LinkIds } from "../telemetry/record.ts";
import { type LinkLoad, type ServedTerms, type ServerHost, ServerLinkOwner } from "./link-owner.ts";

export class DurableServerLink extends ServerLinkOwner {
  declare readonly core: ServerLinkCore;
  readonly #isAuthenticated: boolean;

  constructor(terms: ServedTerms & { core: ServerLinkCore }, isAuthenticated: boolean, host: ServerHost) {
    super(terms, host);
    this.#isAuthenticated = isAuthenticated;
  }

  protected override newLink(): Link {
    return new LinkHandle(this.engine);
  }

  get ids(): LinkIds {
    return { link: this.link.id, session: this.core.sessionId, identity: this.core.identity };
  }

  get identity(): string | undefined {
    return this.#isAuthenticated ? this.core.identity : undefined;
  }

  get claims(): unknown {
    return this.core.claims;
  }

  get openPayload(): Buffer {
    return this.core.openPayload;
  }

  override load(): LinkLoad {
    const { core } = this;
    return {
      heldBytes: core.heldBytes,
      pendingBytes: core.inFlightBytes,
      progressMs: core.stalledSinceMs,
      logBytes: core.unackedBytes,
      receivedBytes: core.unacceptedBytes,
      connectedMs: core.adopted?.openedMs ?? 0,
      isSheddable: core.maySendAway,
    };
  }

  override waitsSinceMs(): number {
    return this.core.waitsSinceMs(this.host.clock.now());
  }

  override evict(): void {
    this.core.evict();
    this.driver.run();
  }

  override get forgettableBytes(): number {
    return this.core.forgettableBytes;
  }

  override forgetReceived(): number {
    return this.core.forgetReceived();
  }

  onEvent(event: ProtocolEvent): void {
    if (event.type === "disconnected") this.engine.waiting(0, 0, event.reason, undefined);
  }
}
