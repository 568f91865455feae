import { describe, expect, test } from "vitest";
import { formatAddress, parseAddress } from "../../src/cli/address.ts";
import { UsageError } from "../../src/cli/usage.ts";

describe("addresses", () => {
  test.for<[given: string, host: string | undefined, port: number]>([
    ["7000", undefined, 7000],
    [":7000", undefined, 7000],
    ["there:7000", "there", 7000],
    ["10.0.0.1:1", "10.0.0.1", 1],
    ["[::1]:65535", "::1", 65_535],
    ["[fe80::1%eth0]:7000", "fe80::1%eth0", 7000],
    ["[fe80::1%eth0.100]:7000", "fe80::1%eth0.100", 7000],
    ["[fe80::1%wg-home]:7000", "fe80::1%wg-home", 7000],
  ])("%s", ([given, host, port]) => {
    expect(parseAddress(given, 1)).toEqual({ host, port });
  });

  test.for([
    "",
    "there",
    "there:",
    "there:x",
    "::1:7000",
    "[::1]",
    "[::1:7000",
    "[]:7000",
    "[there]:7000",
    "[fe80::1%]:7000",
    "[fe80::1%a b]:7000",
    "a:0",
    "a:65536",
    "-1",
  ])("%j is none", (given) => {
    expect(() => parseAddress(given, 1)).toThrow(UsageError);
  });

  test("port 0 is for listening only", () => {
    expect(parseAddress("0", 0)).toEqual({ host: undefined, port: 0 });
    expect(() => parseAddress("0", 1)).toThrow(/from 1 to 65535/);
  });

  test("an IPv6 address without brackets gets a hint", () => {
    expect(() => parseAddress("::1:7000", 1)).toThrow(/\[::1\]:7000/);
  });

  test("are written as they are read", () => {
    for (const given of ["there:7000", "[::1]:7000"]) expect(formatAddress(parseAddress(given, 1))).toBe(given);
    expect(formatAddress({ host: undefined, port: 7 })).toBe("localhost:7");
  });
});
