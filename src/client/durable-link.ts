/** A client's links to resplice servers. */
import { ClientLinkCore } from "../core/client/link-core.ts";
import { coreOptions } from "../link/options.ts";
import { type ClientHost, ClientLinkOwner } from "./link-owner.ts";
import type { ResolvedOpenOptions } from "./options.ts";

export function durableLink(options: ResolvedOpenOptions, host: ClientHost): ClientLinkOwner {
  return durableLinks(options, host)();
}

/** Each call of the function makes a link. All of them share the options. */
export function durableLinks(options: ResolvedOpenOptions, host: ClientHost): () => ClientLinkOwner {
  const { openPayload, whenSessionLost } = options;
  const { entropy, instance, memory } = host;
  const shared = { ...coreOptions(options, memory), instance, epoch: 1, openPayload, whenSessionLost };
  return () => {
    const core = new ClientLinkCore(shared, entropy);
    return new ClientLinkOwner({ core, link: options, options, openPayload }, host);
  };
}
