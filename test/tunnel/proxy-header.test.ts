import fc from "fast-check";
import { expect, test } from "vitest";
import { canonicalIPv6, comparable } from "../../src/io/address-list.ts";
import { readProxyHeader } from "../../src/io/proxy-protocol.ts";
import { type Ends, proxyHeader, type ProxyVersion } from "../../src/tunnel/proxy-header.ts";

const ends = (source: string, sourcePort: number, destination: string, port: number): Ends => ({
  source: { address: source, port: sourcePort },
  destination: { address: destination, port },
});

test.for<[ends: Ends | undefined, line: string, binary: string]>([
  [ends("192.0.2.7", 56_324, "10.0.0.1", 443), "TCP4 192.0.2.7 10.0.0.1 56324 443", "2111000cc00002070a000001dc0401bb"],
  [
    ends("::ffff:192.0.2.7", 1, "::FFFF:10.0.0.1", 2),
    "TCP4 192.0.2.7 10.0.0.1 1 2",
    "2111000cc00002070a00000100010002",
  ],
  [
    ends("2001:DB8::1", 1, "::1", 2),
    "TCP6 2001:db8::1 ::1 1 2",
    "2121002420010db80000000000000000000000010000000000000000000000000000000100010002",
  ],
  [
    ends("fe80::1%eth0", 1, "1:2:3:4:5:6:7:8", 2),
    "TCP6 fe80::1 1:2:3:4:5:6:7:8 1 2",
    "21210024fe8000000000000000000000000000010001000200030004000500060007000800010002",
  ],
  [
    ends("192.0.2.7", 1, "2001:db8::", 2),
    "TCP6 ::ffff:192.0.2.7 2001:db8:: 1 2",
    "2121002400000000000000000000ffffc000020720010db800000000000000000000000000010002",
  ],
  [undefined, "UNKNOWN", "20000000"],
  // What another process says of its clients is not passed on unless it is an address.
  [ends("192.0.2.7\r\nX", 1, "10.0.0.1", 2), "UNKNOWN", "20000000"],
  [ends("192.0.2.7", 1, "db", 2), "UNKNOWN", "20000000"],
  [ends("192.0.2.7", 65_536, "10.0.0.1", 2), "UNKNOWN", "20000000"],
  [ends("192.0.2.7", 1, "10.0.0.1", -1), "UNKNOWN", "20000000"],
  [ends("192.0.2.7", 1.5, "10.0.0.1", 2), "UNKNOWN", "20000000"],
])("%j", ([given, line, binary]) => {
  expect(String(proxyHeader(1, given))).toBe(`PROXY ${line}\r\n`);
  expect(proxyHeader(2, given).toString("hex")).toBe(`0d0a0d0a000d0a515549540a${binary}`);
});

test("what is written is read", () => {
  const address = fc.oneof(fc.ipV4(), fc.ipV6());
  const port = fc.integer({ min: 0, max: 65_535 });
  fc.assert(
    fc.property(fc.constantFrom<ProxyVersion>(1, 2), address, port, address, port, (version, source, ...more) => {
      const [sourcePort, destination, destinationPort] = more;
      const header = proxyHeader(version, ends(source, sourcePort, destination, destinationPort));
      const read = readProxyHeader(header);
      if (read.state !== "complete") throw new Error(read.state);
      expect(read).toMatchObject({ length: header.length, sourcePort, destination: { port: destinationPort } });
      const canonical = (text: string): string => comparable(text.includes(":") ? canonicalIPv6(text) : text);
      expect(comparable(read.source ?? "")).toBe(canonical(source));
      expect(comparable(read.destination?.address ?? "")).toBe(canonical(destination));
    }),
  );
});
