/** The options of `ServerSupervisor.accept()`. */
import { unmapped } from "../io/address-list.ts";
import { checkOptions } from "../link/check.ts";
import { invalidOption } from "../link/errors.ts";

/** The options of `ServerSupervisor.accept()`. */
export interface AcceptOptions {
  /**
   * The client's address, for `allow` and `deny`, limits and logs, as in a header of the proxy in front. Default: the
   * socket's; of another stream "": such clients take turns as if they were one, and have no limits by address.
   */
  remoteAddress?: string;
}

/** Addresses are kept, and are counted by. */
const MOST_ADDRESS_LENGTH = 256;

/** The address that is given, if one is. Throws INVALID_ARGUMENT, INVALID_OPTION. */
export function acceptedAddress(options: AcceptOptions): string | undefined {
  checkOptions("accept()", options, '{ remoteAddress: "10.0.0.7" }', ["remoteAddress"]);
  const { remoteAddress } = options;
  if (remoteAddress === undefined) return undefined;
  if (typeof remoteAddress === "string" && remoteAddress.length <= MOST_ADDRESS_LENGTH) return unmapped(remoteAddress);
  throw invalidOption("remoteAddress", remoteAddress, `a string of at most ${MOST_ADDRESS_LENGTH} characters`);
}
