/**
 * The address by which a client is counted: its IPv4 address or its IPv6 network, as a host can use any address of
 * that.
 */
import { isIPv6 } from "node:net";
import { comparable } from "../io/address-list.ts";

/** The 16-bit groups of an IPv6 address that name its network: a /64. */
const NETWORK_GROUPS = 4;

/** An IPv4 address (also an IPv4-mapped IPv6 one) as it is; of an IPv6 address its network; else the text itself. */
export function peerOf(remoteAddress: string): string {
  const address = comparable(remoteAddress);
  if (!isIPv6(address)) return address;
  const [head = "", tail] = address.split("::");
  const groups = head === "" ? [] : head.split(":");
  const behind = tail === undefined || tail === "" ? [] : tail.split(":");
  // An IPv4 address at the end stands for two groups.
  const written = groups.length + behind.length + (address.includes(".") ? 1 : 0);
  const zeros = tail === undefined ? 0 : 8 - written;
  const all = [...groups, ...Array.from({ length: zeros }, () => "0"), ...behind];
  return `${all
    .slice(0, NETWORK_GROUPS)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(":")}::/64`;
}
