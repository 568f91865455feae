import { describe, expect, test } from "vitest";
import { RespliceError } from "../../src/index.ts";
import { formatTarget, parseTarget } from "../../src/tunnel/target.ts";

describe("a host and a port", () => {
  test.for<[text: string, host: string, port: number]>([
    ["db:5432", "db", 5_432],
    ["DB.Example.COM:1", "db.example.com", 1],
    // To a resolver this is another name: it does not look in its search domains.
    ["db.example.com.:65535", "db.example.com.", 65_535],
    ["my_db:80", "my_db", 80],
    ["3com.example:80", "3com.example", 80],
    ["127.0.0.1:80", "127.0.0.1", 80],
    ["[::1]:80", "::1", 80],
    ["[2001:DB8:0:0::1]:80", "2001:db8::1", 80],
    ["[fe80::1%eth0.100]:80", "fe80::1%eth0.100", 80],
    ["[::ffff:127.0.0.1]:80", "127.0.0.1", 80],
    ["[::FFFF:7f00:1]:80", "127.0.0.1", 80],
  ])("%s", ([text, host, port]) => {
    const target = parseTarget(text);
    expect(target).toEqual({ host, port });
    expect(parseTarget(formatTarget(target))).toEqual(target);
  });

  test.for<[text: string, problem: RegExp]>([
    ["", /neither HOST:PORT/],
    ["db", /neither HOST:PORT/],
    ["::1:80", /goes in brackets, as in/],
    [":80", /a host stands before the port/],
    ["[]:80", /a host stands before the port/],
    ["db:", /a port is a number from 1/],
    ["db:0", /a port/],
    ["db:65536", /a port/],
    ["db:+80", /a port/],
    ["db:8e1", /a port/],
    ["db: 80", /a port/],
    ["[db]:80", /in brackets stands an IPv6 address/],
    ["[127.0.0.1]:80", /in brackets/],
    ["[::1%]:80", /in brackets|zone/],
    ["[fe80::1%a b]:80", /in brackets/],
    ["[fe80::1%a:b]:80", /zone/],
    ["127.1:80", /written as in 127\.0\.0\.1/],
    ["2130706433:80", /written as/],
    ["0x7f000001:80", /written as/],
    ["0x7F.1:80", /written as/],
    ["0177.0.0.1:80", /written as/],
    ["127.0.0.1.:80", /written as/],
    ["127.0.0.01:80", /written as/],
    ["256.0.0.1:80", /written as/],
    ["a.0x:80", /written as/],
    ["0.0.0.0:80", /none to connect to/],
    ["[::]:80", /none to connect to/],
    ["[0:0:0::0]:80", /none to connect to/],
    ["[::ffff:0.0.0.0]:80", /none to connect to/],
    ["a..b:80", /a host is/],
    [".:80", /a host is/],
    ["a b:80", /a host is/],
    ["a/24:80", /a host is/],
    ["a\0:80", /a host is/],
    ["ünì.example:80", /xn--/],
    [`${"a".repeat(64)}:80`, /a host is/],
    [`${"a.".repeat(128)}:80`, /a host is/],
  ])("%j is none", ([text, problem]) => {
    expect(() => parseTarget(text)).toThrow(problem);
    expect(() => parseTarget(text)).toThrow(RespliceError);
  });
});

describe("the path of a Unix socket", () => {
  test.for<[text: string, path: string]>([
    ["unix:/run/db.sock", "/run/db.sock"],
    ["unix:/run/a=b:1", "/run/a=b:1"],
    ["unix://run/./x/../db.sock", "/run/db.sock"],
    ["unix:/../../db", "/db"],
    ["unix:/run/x/..", "/run"],
  ])("%s", ([text, path]) => {
    expect(parseTarget(text)).toEqual({ path });
    expect(formatTarget({ path })).toBe(`unix:${path}`);
  });

  test.for<[text: string, problem: RegExp]>([
    ["unix:", /begins with \//],
    ["unix:db.sock", /begins with \//],
    ["unix:\0db", /begins with \//],
    ["unix:/run/db\0.sock", /control characters/],
    ["unix:/run/db\n", /control characters/],
    ["unix:/", /a folder/],
    ["unix:/run/", /a folder/],
    [`unix:/${"ä".repeat(60)}`, /at most \d+ bytes/],
  ])("%j is none", ([text, problem]) => {
    expect(() => parseTarget(text)).toThrow(problem);
  });
});

test("what was given is shown so that it can be read, and not where it may hold a password", () => {
  expect(() => parseTarget("a\u202eb:80")).toThrow(/^"a\\\\u202eb:80": /);
  const message = ((): string => {
    try {
      return JSON.stringify(parseTarget("me:s3cr3t@db:80"));
    } catch (error) {
      return (error as Error).message;
    }
  })();
  expect(message).toMatch(/^a text with an @ in it: /);
});
