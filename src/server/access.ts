/** Lists of the addresses that may connect, and of those that may not. */
import { AddressList, UNIX } from "../io/address-list.ts";
import { checkNames } from "../link/check.ts";
import { invalidOption, invalidWord } from "../link/errors.ts";

/** Who may connect, by address: docs/listening.md. */
export interface AccessOptions {
  /**
   * Only these may connect: IPv4 and IPv6 addresses, networks (`"10.0.0.0/8"`, `"2001:db8::/32"`), and `"unix"` for
   * connections without an address, as on a Unix socket. At least one, at most 10,000. Default: everyone.
   */
  allow?: readonly string[];
  /** These may not, even if they are in `allow`. As in `allow`; may be empty. Default: nobody. */
  deny?: readonly string[];
}

/** An address is compared with each entry in turn: with so many it takes some microseconds. */
const MOST_ENTRIES = 10_000;
const ENTRY = `IPv4 and IPv6 addresses, networks such as "10.0.0.0/8", or "${UNIX}"`;

/** Throws INVALID_OPTION. */
export function addressList(name: string, given: unknown, least: 0 | 1): AddressList {
  if (!Array.isArray(given) || given.length < least || given.length > MOST_ENTRIES)
    throw invalidOption(name, given, `a list of ${least} to ${MOST_ENTRIES} entries: ${ENTRY}`);
  const list = new AddressList();
  for (const [at, entry] of (given as unknown[]).entries()) {
    if (typeof entry !== "string" || !list.add(entry)) throw invalidWord(`${name}[${at}]`, entry, ENTRY);
  }
  return list;
}

const ACCESS_OPTION_NAMES = ["allow", "deny"] as const;

export class Access {
  #allow: AddressList | undefined;
  #deny: AddressList | undefined;

  /** The names are checked by the caller. Throws INVALID_OPTION. */
  constructor(options: AccessOptions) {
    this.#set(options);
  }

  /** Replaces the lists that are given. Throws INVALID_OPTION, and then nothing has changed. */
  set(options: AccessOptions): void {
    if (typeof options !== "object" || options === null || Object.keys(options).length === 0)
      throw invalidOption("access", options, "allow, deny, or both");
    checkNames(options, ACCESS_OPTION_NAMES);
    this.#set(options);
  }

  #set(options: AccessOptions): void {
    // A list that is named and undefined (of a setting that was not found, say) was meant to be one.
    const allow = "allow" in options ? addressList("allow", options.allow, 1) : this.#allow;
    const deny = "deny" in options ? addressList("deny", options.deny, 0) : this.#deny;
    this.#allow = allow;
    this.#deny = deny;
  }

  /** "": a connection without an address. Text that is no address, which only the application gives, is in no list. */
  admits(remoteAddress: string): boolean {
    // Nor can it be told that such a text is not one of the denied.
    if (this.#deny !== undefined && this.#deny.has(remoteAddress) !== false) return false;
    return this.#allow === undefined || this.#allow.has(remoteAddress) === true;
  }
}
