import { expect, test } from "vitest";
import { addressText } from "../../src/telemetry/address-text.ts";

test("host and port as in a URL, a path as it is", () => {
  expect(addressText({ host: "127.0.0.1", port: 1 })).toBe("127.0.0.1:1");
  expect(addressText({ host: "::", port: 1 })).toBe("[::]:1");
  expect(addressText({ host: "/run/a.sock", port: 0 })).toBe("/run/a.sock");
});
