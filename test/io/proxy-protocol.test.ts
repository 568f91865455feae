import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MOST_HEADER_BYTES, type ProxyHeader, readProxyHeader } from "../../src/io/proxy-protocol.ts";
import {
  binaryHeader,
  type BinaryHeader,
  ipv4Header,
  ipv6Header,
  lineHeader,
  SIGNATURE,
  unixHeader,
} from "./proxy-header-bytes.ts";

const LONGEST = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
const DOC = [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1];
const MAPPED = [0, 0, 0, 0, 0, 0xffff, 0xc000, 0x207];
const NLB: NonNullable<BinaryHeader["tlvs"]> = [
  [0xea, Buffer.from("\u0001vpce-08d2bf15fac5001c9")],
  [4, Buffer.alloc(40)],
];

const VALID: ReadonlyArray<readonly [string, Buffer, string | undefined]> = [
  ["TCP4", lineHeader("192.168.0.1"), "192.168.0.1"],
  ["TCP4, the longest", line("TCP4 255.255.255.255 255.255.255.255 65535 65535"), "255.255.255.255"],
  ["TCP4, the smallest", line("TCP4 0.0.0.0 0.0.0.0 0 0"), "0.0.0.0"],
  ["TCP6", lineHeader("2001:db8::1", "TCP6"), "2001:db8::1"],
  ["TCP6, written otherwise", lineHeader("2001:DB8:0:0:0:0:0:0001", "TCP6"), "2001:db8::1"],
  ["TCP6, mapped", lineHeader("::ffff:192.0.2.7", "TCP6"), "::ffff:192.0.2.7"],
  ["TCP6, the longest", line(`TCP6 ${LONGEST} ${LONGEST} 65535 65535`), LONGEST],
  ["UNKNOWN", line("UNKNOWN"), undefined],
  ["UNKNOWN, the longest", line(`UNKNOWN ${LONGEST} ${LONGEST} 65535 65535`), undefined],
  ["UNKNOWN, with what says nothing", line("UNKNOWN 999.2.3.4 \r \n x"), undefined],
  ["IPv4", ipv4Header("203.0.113.7"), "203.0.113.7"],
  ["IPv6", ipv6Header(DOC), "2001:db8::1"],
  ["IPv6, mapped", ipv6Header(MAPPED), "::ffff:192.0.2.7"],
  ["a Unix socket", unixHeader(), ""],
  ["LOCAL", binaryHeader({ command: 0, kind: 0 }), undefined],
  ["LOCAL, with addresses", ipv4Header("203.0.113.7", { command: 0 }), undefined],
  [
    "LOCAL, of a family that there is not",
    binaryHeader({ command: 0, kind: 0x77, addresses: Buffer.alloc(36, 1) }),
    undefined,
  ],
  ["no family", binaryHeader({ kind: 0 }), undefined],
  ["no family, with bytes that are no TLVs", binaryHeader({ kind: 0, addresses: Buffer.alloc(2) }), undefined],
  ["no transport, with a part of addresses", binaryHeader({ kind: 0x10, addresses: Buffer.alloc(3) }), undefined],
  ["UDP over IPv4", ipv4Header("203.0.113.7", { kind: 0x12 }), undefined],
  ["TLVs", ipv4Header("203.0.113.7", { tlvs: NLB }), "203.0.113.7"],
  ["a TLV of no bytes", ipv4Header("203.0.113.7", { tlvs: [[4, Buffer.alloc(0)]] }), "203.0.113.7"],
  ["a checksum", ipv4Header("203.0.113.7", { checksum: true }), "203.0.113.7"],
  ["TLVs and a checksum, IPv6", ipv6Header(DOC, { tlvs: NLB, checksum: true }), "2001:db8::1"],
  ["TLVs and a checksum, Unix", unixHeader({ tlvs: NLB, checksum: true }), ""],
  [
    "as long as a header may be",
    ipv4Header("1.2.3.4", { tlvs: [[4, Buffer.alloc(MOST_HEADER_BYTES - 31)]] }),
    "1.2.3.4",
  ],
];

function line(text: string): Buffer {
  return Buffer.from(`PROXY ${text}\r\n`, "latin1");
}

/** The header, when the bytes come one after the other; and how many it took to know. */
function byteByByte(bytes: Buffer): [ProxyHeader, number] {
  for (let length = 1; length <= bytes.length; length++) {
    const header = readProxyHeader(bytes.subarray(0, length));
    if (header.state !== "incomplete") return [header, length];
  }
  return [{ state: "incomplete" }, bytes.length];
}

describe.each(VALID)("%s", (_, bytes, source) => {
  const complete: unknown = expect.objectContaining({ state: "complete", length: bytes.length, source });

  test("is whole with its last byte, and not before", () => {
    expect(byteByByte(bytes)).toEqual([complete, bytes.length]);
  });

  test("is the same whatever stands behind it", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 500 }), (behind) => {
        expect(readProxyHeader(Buffer.concat([bytes, behind]))).toEqual(complete);
      }),
      { numRuns: 20 },
    );
  });
});

test.for<[string, Buffer, sourcePort: number | undefined, destination: string | undefined]>([
  ["TCP4", lineHeader("192.168.0.1"), 56_324, "192.168.0.11 443"],
  ["TCP4, the longest", line("TCP4 1.2.3.4 255.255.255.255 65535 65534"), 65_535, "255.255.255.255 65534"],
  ["TCP6, written otherwise", line("TCP6 ::1 2001:DB8:0:0:0:0:0:0001 0 1"), 0, "2001:db8::1 1"],
  ["IPv4", ipv4Header("203.0.113.7", { tlvs: NLB }), 56_324, "127.0.0.1 443"],
  ["IPv6", ipv6Header(DOC, { destination: MAPPED, ports: [7, 8] }), 7, "::ffff:192.0.2.7 8"],
  ["UNKNOWN, with what says nothing", line("UNKNOWN 1.2.3.4 1.2.3.5 6 7"), undefined, undefined],
  ["LOCAL, with addresses", ipv4Header("203.0.113.7", { command: 0 }), undefined, undefined],
  ["UDP over IPv4", ipv4Header("203.0.113.7", { kind: 0x12 }), undefined, undefined],
  ["a Unix socket", unixHeader(), undefined, undefined],
])("the ports and the destination: %s", ([, bytes, sourcePort, destination]) => {
  const header = readProxyHeader(bytes);
  if (header.state !== "complete") throw new Error(header.state);
  expect(header.sourcePort).toBe(sourcePort);
  expect(header.destination && `${header.destination.address} ${header.destination.port}`).toBe(destination);
});

test("the example of the specification leaves the request as it is", () => {
  const request = "GET / HTTP/1.1\r\nHost: 192.168.0.11\r\n\r\n";
  const bytes = Buffer.concat([line("TCP4 192.168.0.1 192.168.0.11 56324 443"), Buffer.from(request)]);
  const header = readProxyHeader(bytes);
  expect(header).toMatchObject({ state: "complete", source: "192.168.0.1" });
  expect(String(bytes.subarray(header.state === "complete" ? header.length : 0))).toBe(request);
});

const WRONG: ReadonlyArray<readonly [string, Buffer]> = [
  ["an address out of range", line("TCP4 999.2.3.4 1.2.3.4 1 1")],
  ["a destination out of range", line("TCP4 1.2.3.4 1.2.3.256 1 1")],
  ["an address with a leading zero", line("TCP4 01.2.3.4 1.2.3.4 1 1")],
  ["three parts", line("TCP4 1.2.3 1.2.3.4 1 1")],
  ["a port out of range", line("TCP4 1.2.3.4 1.2.3.4 99999 1")],
  ["a port just out of range", line("TCP4 1.2.3.4 1.2.3.4 1 65536")],
  ["a port with a leading zero", line("TCP4 1.2.3.4 1.2.3.4 080 1")],
  ["a port with a sign", line("TCP4 1.2.3.4 1.2.3.4 +80 1")],
  ["a port that is none", line("TCP4 1.2.3.4 1.2.3.4 1e3 1")],
  ["no second port", line("TCP4 1.2.3.4 1.2.3.4 80")],
  ["no ports", line("TCP4 1.2.3.4 1.2.3.4")],
  ["an empty port", line("TCP4 1.2.3.4 1.2.3.4 80 ")],
  ["no addresses", line("TCP4")],
  ["something behind the ports", line("TCP4 1.2.3.4 1.2.3.4 1 1 1")],
  ["two spaces", line("TCP4  1.2.3.4 1.2.3.4 1 1")],
  ["a tab", line("TCP4\t1.2.3.4 1.2.3.4 1 1")],
  ["a line end within", line("TCP4 1.2.3.4 1.2.3.4 1 1\n")],
  ["IPv6 as TCP4", line("TCP4 ::1 ::1 1 1")],
  ["IPv4 as TCP6", line("TCP6 1.2.3.4 1.2.3.4 1 1")],
  ["an IPv6 address with a zone", line("TCP6 fe80::1%eth0 ::1 1 1")],
  ["two double colons", line("TCP6 1::2::3 ::1 1 1")],
  ["another family", line("UDP4 1.2.3.4 1.2.3.4 1 1")],
  ["UNKNOWN and more", line("UNKNOWNS")],
  ["in small letters", Buffer.from("proxy TCP4 1.2.3.4 1.2.3.4 1 1\r\n")],
  ["no family at all", Buffer.from("PROXY\r\n")],
  ["no end within 107 bytes", Buffer.from(`PROXY UNKNOWN ${"x".repeat(93)}\r\n`)],
  ["no end at all", Buffer.from(`PROXY UNKNOWN ${"x".repeat(93)}`)],
  ["another protocol", Buffer.from("GET / HTTP/1.1\r\n\r\n")],
  ["a ClientHello of TLS", Buffer.from("16030100", "hex")],
  ["a signature that is not right at its end", Buffer.concat([SIGNATURE.subarray(0, 11), Buffer.from("x")])],
  ["version 1 in binary", binaryHeader({ version: 1, command: 0 })],
  ["version 3", binaryHeader({ version: 3, command: 0 })],
  ["another command", binaryHeader({ command: 2 })],
  ["another family in binary", binaryHeader({ kind: 0x41 })],
  ["another transport", ipv4Header("1.2.3.4", { kind: 0x13 })],
  ["IPv4 addresses cut short", binaryHeader({ addresses: Buffer.alloc(11) })],
  ["IPv6 addresses cut short", binaryHeader({ kind: 0x21, addresses: Buffer.alloc(35) })],
  ["Unix addresses cut short", binaryHeader({ kind: 0x31, addresses: Buffer.alloc(215) })],
  ["PROXY without addresses", binaryHeader()],
  ["a TLV of one byte", binaryHeader({ addresses: Buffer.alloc(13) })],
  ["a TLV that is longer than the header", ipv4Header("1.2.3.4", { tlvs: [[4, Buffer.alloc(9)]], length: 20 })],
  ["a header that is too long", ipv4Header("1.2.3.4", { length: MOST_HEADER_BYTES - 15 })],
  ["the longest header that can be stated", ipv4Header("1.2.3.4", { length: 65_535 })],
  ["LOCAL that is too long", binaryHeader({ command: 0, length: MOST_HEADER_BYTES - 15 })],
  ["a wrong checksum", ipv4Header("1.2.3.4", { checksum: 0x12345678 })],
  ["a checksum of zeros", ipv4Header("1.2.3.4", { checksum: 0 })],
  ["a checksum of two bytes", ipv4Header("1.2.3.4", { tlvs: [[3, Buffer.alloc(2)]] })],
  ["two checksums", ipv4Header("1.2.3.4", { tlvs: [[3, Buffer.alloc(4)]], checksum: true })],
];

test.each(WRONG)("%s is refused", (_, bytes) => {
  const [header] = byteByByte(bytes);
  expect(header).toEqual({ state: "wrong", problem: expect.stringMatching(/^[ -~]+$/) });
  expect(readProxyHeader(bytes)).toEqual(header);
});

test("what cannot become a header is refused with the first byte that shows it", () => {
  expect(byteByByte(Buffer.from("PROXIED"))[1]).toBe(5);
  expect(byteByByte(Buffer.from("\r\n\r\nGET"))[1]).toBe(5);
  expect(byteByByte(ipv4Header("1.2.3.4", { length: 65_535 }))[1]).toBe(16);
  expect(byteByByte(Buffer.alloc(500, "PROXY UNKNOWN "))[1]).toBe(107);
});

test("a checksum finds any byte that was changed", () => {
  const bytes = ipv6Header(DOC, { tlvs: NLB, checksum: true });
  // Before this place a change may make it another header: the signature, the kind, the length.
  fc.assert(
    fc.property(fc.integer({ min: 16, max: bytes.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ change;
      const header = readProxyHeader(changed);
      // Where the change hides the checksum itself, or moves its end, it is not looked for, or is cut short.
      const isSeen = at < 16 + 36 || at >= bytes.length - 4;
      if (isSeen) expect(header.state).toBe("wrong");
      else expect(header.state).not.toBe("incomplete");
    }),
  );
});

const HOSTILE: fc.Arbitrary<Buffer> = fc
  .oneof(
    fc.uint8Array({ maxLength: 600 }),
    fc.uint8Array({ maxLength: 600 }).map((bytes) => Buffer.concat([Buffer.from("PROXY TCP4 "), bytes])),
    fc.uint8Array({ maxLength: 600 }).map((bytes) => Buffer.concat([SIGNATURE, Buffer.from([0x21]), bytes])),
    fc.tuple(fc.constantFrom(...VALID), fc.nat(), fc.uint8Array({ maxLength: 40 })).map(([[, bytes], at, other]) => {
      const changed = Buffer.from(bytes);
      changed.set(other.subarray(0, changed.length - (at % changed.length)), at % changed.length);
      return changed;
    }),
  )
  .filter((bytes) => bytes.length > 0)
  .map((bytes) => Buffer.from(bytes));

test("whatever comes, nothing is thrown, nothing is read past, and more bytes do not change an answer", () => {
  fc.assert(
    fc.property(HOSTILE, fc.nat(), (bytes, at) => {
      const whole = readProxyHeader(bytes);
      const part = readProxyHeader(bytes.subarray(0, 1 + (at % bytes.length)));
      if (part.state !== "incomplete") expect(whole).toEqual(part);
      if (whole.state === "complete") expect(whole.length).toBeLessThanOrEqual(bytes.length);
      if (whole.state === "incomplete") expect(bytes.length).toBeLessThan(MOST_HEADER_BYTES);
    }),
    { numRuns: 2_000 },
  );
});
