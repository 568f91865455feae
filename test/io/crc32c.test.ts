import fc from "fast-check";
import { expect, test } from "vitest";
import { crc32c } from "../../src/io/crc32c.ts";

test.each<[string, Buffer, number]>([
  ["nothing", Buffer.alloc(0), 0],
  ["the check value of the algorithm", Buffer.from("123456789"), 0xe3069283],
  // RFC 3720, B.4.
  ["32 bytes of zeros", Buffer.alloc(32), 0x8a9136aa],
  ["32 bytes of ones", Buffer.alloc(32, 0xff), 0x62a8ab43],
  ["32 bytes that rise", Buffer.from(Array.from({ length: 32 }, (_, at) => at)), 0x46dd794e],
])("%s", (_, bytes, checksum) => {
  expect(crc32c(bytes)).toBe(checksum);
});

test("in parts as in one", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array()), (parts) => {
      expect(crc32c(...parts)).toBe(crc32c(Buffer.concat(parts)));
    }),
  );
});
