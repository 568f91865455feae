import { expect, test } from "vitest";
import { COPIED_BYTES, ended } from "../../src/plain/pieces.ts";

test("a small message and its ending are one piece, of a large one nothing is copied", () => {
  const ending = Buffer.from("\r\n");
  expect(String(ended(Buffer.from("one"), ending))).toBe("one\r\n");
  expect(ended(Buffer.alloc(COPIED_BYTES), ending)).toHaveLength(COPIED_BYTES + 2);
  const large = Buffer.alloc(COPIED_BYTES + 1);
  expect((ended(large, ending) as Buffer[]).map((piece) => [piece === large, piece === ending])).toEqual([
    [true, false],
    [false, true],
  ]);
});
