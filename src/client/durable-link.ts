/** A client's link to a resplice server. */
import { ClientLinkCore } from "../core/client/link-core.ts";
import { coreOptions } from "../link/options.ts";
import { type ClientHost, ClientLinkOwner } from "./link-owner.ts";
import type { ResolvedOpenOptions } from "./options.ts";

export function durableLink(options: ResolvedOpenOptions, host: ClientHost): ClientLinkOwner {
  const { openPayload, whenSessionLost } = options;
  const { entropy, instance, memory } = host;
  const core = new ClientLinkCore(
    { ...coreOptions(options, memory), instance, epoch: 1, openPayload, whenSessionLost },
    entropy,
  );
  return new ClientLinkOwner({ core, link: options, options, openPayload }, host);
}
