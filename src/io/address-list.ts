/** IP addresses as they are compared, and lists of addresses and networks. */
import { BlockList, isIPv4, isIPv6, SocketAddress } from "node:net";

/** The entry of a list that stands for connections without an address, as those of a Unix socket are. */
export const UNIX = "unix";

/** The bits of an IPv4-mapped IPv6 address that stand before its IPv4 address. */
const MAPPED_BITS = 96;

/** An IPv6 address in the one form in which sockets report it: in lower case, the longest row of zeros left out. */
export function canonicalIPv6(address: string): string {
  return new SocketAddress({ address, family: "ipv6" }).address;
}

/** An address without its zone, and IPv4 where it is an IPv4-mapped IPv6 address. Any other text stays as it is. */
export function comparable(address: string): string {
  const [withoutZone = ""] = address.split("%");
  if (!isIPv6(withoutZone)) return withoutZone;
  const canonical = canonicalIPv6(withoutZone);
  const [, mapped = canonical] = /^::ffff:([\d.]+)$/.exec(canonical) ?? [];
  return mapped;
}

/** IPv4 where it is an IPv4-mapped IPv6 address, as who listens at all addresses sees it. Any other text stays as it is. */
export function unmapped(address: string): string {
  if (!address.includes(":")) return address;
  const compared = comparable(address);
  return isIPv4(compared) ? compared : address;
}

export class AddressList {
  // Apart, as node:net finds IPv4 addresses in IPv6 networks: `::/0` would have them all.
  readonly #ipv4 = new BlockList();
  readonly #ipv6 = new BlockList();
  #hasUnix = false;
  #hasIP = false;

  /** Takes an address, a network in CIDR notation, or "unix". Answers false for anything else, and takes nothing. */
  add(entry: string): boolean {
    if (entry === UNIX) {
      this.#hasUnix = true;
      return true;
    }
    const [, written = "", bits] = /^([^/%]+)(?:\/(0|[1-9]\d{0,2}))?$/.exec(entry) ?? [];
    const address = comparable(written);
    if (!isIPv4(address) && !isIPv6(address)) return false;
    const family = isIPv4(address) ? "ipv4" : "ipv6";
    const most = family === "ipv4" ? 32 : 128;
    const before = family === "ipv4" && isIPv6(written) ? MAPPED_BITS : 0;
    const prefix = bits === undefined ? most : Number(bits) - before;
    if (prefix < 0 || prefix > most) return false;
    (family === "ipv4" ? this.#ipv4 : this.#ipv6).addSubnet(address, prefix, family);
    this.#hasIP = true;
    return true;
  }

  /** Whether connections without an address, and connections with one, can be in the list at all. */
  get kinds(): { unix: boolean; ip: boolean } {
    return { unix: this.#hasUnix, ip: this.#hasIP };
  }

  /** Undefined for a text that is neither an IP address nor empty. "": a connection without an address. */
  has(address: string): boolean | undefined {
    if (address === "") return this.#hasUnix;
    const compared = comparable(address);
    if (isIPv4(compared)) return this.#ipv4.check(compared, "ipv4");
    return isIPv6(compared) ? this.#ipv6.check(compared, "ipv6") : undefined;
  }
}
