import { expect, test } from "vitest";
import { bytes, delimited, fixed, lengthPrefixed, lines } from "../../src/index.ts";
import { refusal } from "../support.ts";
import { streamOf } from "./decoding.ts";

test("each makes its framing", () => {
  const framings = [lines({ ending: "\r\n" }), delimited("--"), lengthPrefixed({ bytes: 1 }), fixed(3), bytes()];
  expect(framings.map(({ name }) => name)).toEqual(["lines", "delimited", "lengthPrefixed", "fixed", "bytes"]);
  const sent = framings.map((framing) => String(streamOf(framing, ["one"])));
  expect(sent).toEqual(["one\r\n", "one--", "\u0003one", "one", "one"]);
});

test.each([
  ["lines.ending", () => lines({ ending: "x" as never }), '"\\n", "\\r\\n"'],
  ["delimiter", () => delimited(""), "a string or bytes, of 1 to 256 bytes"],
  ["lengthPrefixed.headerBytes", () => lengthPrefixed({ headerBytes: -1 }), "an integer from 0 to 1024"],
  ["messageBytes", () => fixed(0), "an integer from 1 to 2147483647"],
])("a wrong option is refused with the package's error: %s", (name, act, allowed) => {
  const { code, option, message } = refusal(act);
  expect([code, option?.name, option?.allowed]).toEqual(["INVALID_OPTION", name, allowed]);
  expect(message).toContain(`option ${name} is `);
});

test("a delimiter is not shown: it may be a secret", () => {
  const { message, option } = refusal(() => delimited("secret".repeat(100)));
  expect(message + String(option?.value)).not.toContain("secret");
});

test("any other error goes through", () => {
  const options = {
    get ending(): never {
      throw new TypeError("from the application");
    },
  };
  expect(() => lines(options)).toThrow(new TypeError("from the application"));
});
