/** A server's link to a resplice client. */
import type { ServerLinkCore } from "../core/server/link-core.ts";
import { LinkHandle } from "../link/link.ts";
import type { ProtocolEvent } from "../link/protocol.ts";
import type { Link } from "../link/types.ts";
import type { LinkIds } from "../telemetry/record.ts";
import { type ServedTerms, type ServerHost, ServerLinkOwner } from "./link-owner.ts";

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

  onEvent(event: ProtocolEvent): void {
    if (event.type === "disconnected") this.engine.waiting(0, 0, event.reason, undefined);
  }
}
