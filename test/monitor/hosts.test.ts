import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isAllowedHost, resolveHosts } from "../../src/monitor/hosts.ts";

const NAMES = resolveHosts(["metrics.internal", "Node-1."]);

describe("the Host header", () => {
  test.each([
    "127.0.0.1",
    "127.0.0.1:9400",
    "10.1.2.3:80",
    "[::1]",
    "[::1]:9400",
    "[fe80::1]:1",
    "localhost",
    "localhost:9400",
    "LOCALHOST",
    "localhost.",
    "metrics.internal:9400",
    "METRICS.internal.",
    "node-1",
  ])("%s is allowed", (host) => {
    expect(isAllowedHost([host], NAMES)).toBe(true);
  });

  test.each([
    "",
    ":9400",
    "evil.example",
    "evil.example:9400",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "evil.example:127.0.0.1",
    "localhost:9400:1",
    "localhost@evil.example",
    "evil.example/localhost",
    "::1",
    "[127.0.0.1]",
    "[localhost]",
    "[::1].evil.example",
    "[::1",
    "127.1",
    "0x7f000001",
    " localhost",
    "localhost\n",
  ])("%j is refused", (host) => {
    expect(isAllowedHost([host], NAMES)).toBe(false);
  });

  test("none, and more than one, are refused", () => {
    expect([isAllowedHost([], NAMES), isAllowedHost(["localhost", "localhost"], NAMES)]).toEqual([false, false]);
  });

  test("without names given no name is allowed but localhost", () => {
    fc.assert(
      fc.property(fc.domain(), fc.option(fc.nat(65_535)), (domain, port) => {
        const host = port === null ? domain : `${domain}:${port}`;
        expect(isAllowedHost([host], new Set())).toBe(false);
      }),
    );
  });
});

describe("allowedHosts", () => {
  test.each([
    ["text", "metrics.internal"],
    ["a port", ["metrics.internal:9400"]],
    ["a wildcard", ["*"]],
    ["an empty name", [""]],
    ["a number", [1]],
    ["a long name", ["a".repeat(254)]],
    ["too many", Array.from({ length: 101 }, (_, at) => `h${at}`)],
  ])("%s is refused", (_, given) => {
    expect(() => resolveHosts(given)).toThrow(expect.objectContaining({ code: "INVALID_OPTION" }));
  });
});
