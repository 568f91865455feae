import { expect, test } from "vitest";
import { peerOf } from "../../src/server/peer.ts";

test.each([
  ["192.0.2.7", "192.0.2.7"],
  // The same host, on a socket that takes both.
  ["::ffff:192.0.2.7", "192.0.2.7"],
  ["::FFFF:192.0.2.7", "192.0.2.7"],
  // A network has all addresses of a /64.
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
  ["2001:db8:1:2::9", "2001:db8:1:2::/64"],
  ["2001:0db8:0001:0002::9", "2001:db8:1:2::/64"],
  ["2001:db8::1", "2001:db8:0:0::/64"],
  ["2001:db8::", "2001:db8:0:0::/64"],
  ["::1", "0:0:0:0::/64"],
  ["::", "0:0:0:0::/64"],
  ["fe80::1%eth0", "fe80:0:0:0::/64"],
  ["64:ff9b::192.0.2.7", "64:ff9b:0:0::/64"],
  // A Unix socket has none.
  ["", ""],
])("%s is a client at %s", (address, peer) => {
  expect(peerOf(address)).toBe(peer);
});
