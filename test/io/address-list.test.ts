import { isIPv4 } from "node:net";
import fc from "fast-check";
import { expect, test } from "vitest";
import { AddressList, comparable, unmapped } from "../../src/io/address-list.ts";

function list(...entries: string[]): AddressList {
  const made = new AddressList();
  for (const entry of entries) expect([entry, made.add(entry)]).toEqual([entry, true]);
  return made;
}

test.each([
  ["::ffff:127.0.0.1", "127.0.0.1"],
  ["::FFFF:7f00:1", "127.0.0.1"],
  ["127.0.0.1", "127.0.0.1"],
  ["fe80::1%eth0", "fe80::1%eth0"],
  ["2001:DB8::1", "2001:DB8::1"],
  ["::ffff:a client", "::ffff:a client"],
  ["", ""],
])("%s is shown as %s", (address, shown) => {
  expect(unmapped(address)).toBe(shown);
});

test.each([
  ["192.0.2.7", "192.0.2.7"],
  ["::ffff:192.0.2.7", "192.0.2.7"],
  ["::FFFF:c000:207", "192.0.2.7"],
  ["0:0:0:0:0:ffff:192.0.2.7", "192.0.2.7"],
  ["::192.0.2.7", "::192.0.2.7"],
  ["2001:DB8:0::0001", "2001:db8::1"],
  ["fe80::1%eth0", "fe80::1"],
  ["::ffff:192.0.2.7%eth0", "192.0.2.7"],
  ["a client", "a client"],
  ["", ""],
])("%s is compared as %s", (address, compared) => {
  expect(comparable(address)).toBe(compared);
});

test.each<[string, string[], string[], string[]]>([
  ["an address", ["192.0.2.7"], ["192.0.2.7", "::ffff:192.0.2.7"], ["192.0.2.6", "192.0.2.8", "::1"]],
  ["a network", ["10.0.0.0/8"], ["10.0.0.0", "10.255.255.255"], ["9.255.255.255", "11.0.0.0"]],
  ["a network with bits of a host", ["10.1.2.3/8"], ["10.9.9.9"], ["11.1.2.3"]],
  ["an IPv6 address", ["2001:db8::1"], ["2001:db8:0:0::1", "2001:db8::1%eth0"], ["2001:db8::2"]],
  ["an IPv6 network", ["2001:db8::/33"], ["2001:db8:7fff::9"], ["2001:db8:8000::", "10.0.0.1"]],
  ["a mapped address", ["::ffff:192.0.2.7"], ["192.0.2.7", "::ffff:c000:207"], ["192.0.2.8"]],
  ["a mapped network", ["::ffff:10.0.0.0/104"], ["10.9.9.9"], ["11.0.0.0", "::1"]],
  ["all of IPv4", ["0.0.0.0/0"], ["0.0.0.0", "255.255.255.255", "::ffff:1.2.3.4"], ["::1", ""]],
  ["all of IPv6", ["::/0"], ["::", "2001:db8::1"], ["1.2.3.4", "::ffff:1.2.3.4", ""]],
  ["no address", ["unix"], [""], ["127.0.0.1", "::1"]],
  ["several", ["192.0.2.7", "2001:db8::/32", "unix"], ["192.0.2.7", "2001:db8::5", ""], ["192.0.2.9"]],
  ["nothing", [], [], ["127.0.0.1", "::1", ""]],
])("a list of %s", (_, entries, inside, outside) => {
  const made = list(...entries);
  for (const address of inside) expect([address, made.has(address)]).toEqual([address, true]);
  for (const address of outside) expect([address, made.has(address)]).toEqual([address, false]);
});

test("it can be told what kinds of connections a list can have", () => {
  expect(list("unix").kinds).toEqual({ unix: true, ip: false });
  expect(list("::1").kinds).toEqual({ unix: false, ip: true });
});

test.each([
  "",
  "localhost",
  "Unix",
  "999.2.3.4",
  "01.2.3.4",
  "1.2.3",
  "1.2.3.4/33",
  "1.2.3.4/-1",
  "1.2.3.4/08",
  "1.2.3.4/",
  "1.2.3.4/8/8",
  "1.2.3.4:80",
  "1.2.3.4 ",
  "::1/129",
  "::ffff:1.2.3.4/95",
  "fe80::1%eth0",
  "[::1]",
])("%j is no entry", (entry) => {
  const made = new AddressList();
  expect([made.add(entry), made.kinds]).toEqual([false, { unix: false, ip: false }]);
});

test.each(["somebody", "1.2.3.4:80", "999.2.3.4", "x%eth0"])("it is not known whether %j is in a list", (text) => {
  expect(list("0.0.0.0/0", "::/0", "unix").has(text)).toBe(undefined);
});

/** The bits of an address, and how many there are. */
function bitsOf(address: string): [bits: bigint, width: number] {
  if (isIPv4(address)) return [address.split(".").reduce((all, part) => (all << 8n) | BigInt(part), 0n), 32];
  return [address.split(":").reduce((all, group) => (all << 16n) | BigInt(`0x${group}`), 0n), 128];
}

const IPV4 = fc.ipV4();
// All eight groups, and not one of those that are mapped from IPv4.
const IPV6 = fc
  .array(fc.integer({ min: 1, max: 0xffff }), { minLength: 8, maxLength: 8 })
  .map((groups) => groups.map((group) => group.toString(16)).join(":"));

test("an address is in a network if it begins with the same bits", () => {
  const pair = fc.oneof(
    fc.tuple(IPV4, IPV4, fc.integer({ min: 0, max: 32 })),
    fc.tuple(IPV6, IPV6, fc.integer({ min: 0, max: 128 })),
  );
  fc.assert(
    fc.property(pair, fc.boolean(), ([network, other, prefix], flips) => {
      const [bits, width] = bitsOf(network);
      const shift = BigInt(width - prefix);
      // Random addresses are seldom near: half of them differ in one bit only.
      const near = bits ^ (1n << BigInt(Math.min(width - 1, Number(shift))));
      const address = flips ? written(near, width) : other;
      const isInside = bitsOf(address)[0] >> shift === bits >> shift;
      expect(list(`${network}/${prefix}`).has(address)).toBe(isInside);
    }),
  );
});

function written(bits: bigint, width: number): string {
  const size = width === 32 ? 8 : 16;
  const parts = Array.from({ length: width / size }, (_, at) =>
    Number((bits >> BigInt(width - size * (at + 1))) & ((1n << BigInt(size)) - 1n)),
  );
  return width === 32 ? parts.join(".") : parts.map((part) => part.toString(16)).join(":");
}
