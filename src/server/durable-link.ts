/** A server's link to a resplice client. */
import type { ServerLinkCore } from "../core/server/link-core.ts";
import { RespliceError } from "../link/errors.ts";
import { LinkHandle } from "../link/link.ts";
import type { ProtocolEvent } from "../link/protocol.ts";
import type { Link } from "../link/types.ts";
import type { LinkIds } from "../telemetry/record.ts";
import { Expiry } from "./expiry.ts";
import type { Admitted } from "./verdict.ts";
import { type LinkLoad, type ServedTerms, type ServerHost, ServerLinkOwner } from "./link-owner.ts";

export class DurableServerLink extends ServerLinkOwner {
  declare readonly core: ServerLinkCore;
  readonly #isAuthenticated: boolean;
  /** Made when the client has credentials that expire. */
  #expiry: Expiry | undefined;

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
    return this.#admitted?.claims;
  }

  /** Undefined: everyone may connect. */
  get #admitted(): Admitted | undefined {
    return this.core.claims as Admitted | undefined;
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
    if (event.type === "connected") {
      const expiresAtMs = this.#admitted?.expiresAtMs ?? Infinity;
      if (expiresAtMs === Infinity) this.#expiry?.end();
      else (this.#expiry ??= new Expiry(this.host, () => this.#askWho("credentials-expired"))).begin(expiresAtMs);
    } else if (event.type === "disconnected") {
      this.#expiry?.end();
      this.engine.waiting(0, 0, event.reason, undefined);
    }
  }

  #askWho(reason: string): void {
    this.core.askWho(reason, this.host.clock.now());
    this.driver.run();
  }

  reauthenticate(): void {
    if (!this.#isAuthenticated)
      throw new RespliceError("NOT_SUPPORTED", "reauthenticate() needs a server with authenticate()");
    this.#askWho("reauthenticate");
  }

  override stop(): void {
    super.stop();
    this.#expiry?.end();
  }
}
