import { describe, expect, test } from "vitest";
import { RespliceError } from "../../src/index.ts";
import { AllowList, type LookUp, type Ruling } from "../../src/tunnel/allow.ts";
import { isPending } from "../support.ts";

/** What the names have; any other has none. */
const NAMES: Readonly<Record<string, readonly string[]>> = {
  db: ["10.0.0.5"],
  "two.example": ["10.0.0.5", "fd00::5"],
  localhost: ["::1", "127.0.0.1"],
  "rebound.example": ["127.0.0.1"],
  "mapped.example": ["::ffff:127.0.0.1"],
  "nowhere.example": ["0.0.0.0", "::"],
};

function asked(): { lookUp: LookUp; names: string[] } {
  const names: string[] = [];
  return {
    names,
    lookUp: async (name) => {
      names.push(name);
      const addresses = NAMES[name];
      if (addresses === undefined) throw new Error(`${name} has no address`);
      return addresses;
    },
  };
}

/** The addresses that may be dialled, or the word of the refusal. */
async function ruled(entries: string[], target: string, identity?: string): Promise<readonly string[] | string> {
  const [, host = "", port = ""] = /^(.*) (\d+)$/.exec(target) ?? [];
  const ruling = await new AllowList(entries).rule(host, Number(port), identity, asked().lookUp);
  return "addresses" in ruling ? ruling.addresses : ruling.refused;
}

describe("addresses", () => {
  test.for<[entry: string, target: string, addresses: readonly string[] | string]>([
    ["10.0.0.5:80", "10.0.0.5 80", ["10.0.0.5"]],
    ["10.0.0.5:80", "10.0.0.5 81", "not-allowed"],
    ["10.0.0.5:80", "10.0.0.6 80", "not-allowed"],
    ["10.0.0.5:80", "db 80", ["10.0.0.5"]],
    ["10.0.0.5:80", "two.example 80", ["10.0.0.5"]],
    ["[FD00::5]:80", "two.example 80", ["fd00::5"]],
    ["10.0.0.0/8:80", "10.255.0.1 80", ["10.255.0.1"]],
    ["10.0.0.0/8:80", "11.0.0.1 80", "not-allowed"],
    ["[fd00::/8]:80", "two.example 80", ["fd00::5"]],
    ["[fe80::/10]:80", "fe80::1%eth0 80", ["fe80::1%eth0"]],
    ["[::ffff:127.0.0.1]:80", "127.0.0.1 80", ["127.0.0.1"]],
    ["127.0.0.1:80", "mapped.example 80", ["127.0.0.1"]],
    ["127.0.0.1:80", "::ffff:127.0.0.1 80", ["127.0.0.1"]],
    ["127.0.0.1:80", "localhost 80", ["127.0.0.1"]],
    // A network of IPv6 has no IPv4 addresses, in whatever form they come.
    ["[::/0]:80", "127.0.0.1 80", "not-allowed"],
    ["[::/0]:80", "mapped.example 80", "not-allowed"],
    ["0.0.0.0/0:80", "10.0.0.5 80", ["10.0.0.5"]],
    // To the kernel these are this machine.
    ["0.0.0.0/0:80", "nowhere.example 80", "not-allowed"],
    ["[::/0]:80", "nowhere.example 80", "not-allowed"],
    ["nowhere.example:80", "nowhere.example 80", "not-allowed"],
    // Its owner has made it point into the network of the far end.
    ["10.0.0.0/8:80", "rebound.example 80", "not-allowed"],
  ])("%s, for %s", async ([entry, target, addresses]) => {
    expect(await ruled([entry], target)).toEqual(addresses);
  });
});

describe("names", () => {
  test.for<[entry: string, target: string, addresses: readonly string[] | string]>([
    ["two.example:80", "two.example 80", ["10.0.0.5", "fd00::5"]],
    ["Two.Example:80", "two.example 80", ["10.0.0.5", "fd00::5"]],
    ["localhost:80", "127.0.0.1 80", ["127.0.0.1"]],
    ["db:80", "two.example 80", ["10.0.0.5"]],
    ["db:80", "rebound.example 80", "not-allowed"],
    ["db:80", "10.0.0.6 80", "not-allowed"],
    ["gone.example:80", "gone.example 80", "unknown-host"],
    // Whether a name exists is nothing to be found out by asking for it.
    ["db:80", "gone.example 80", "not-allowed"],
    ["0.0.0.0/0:80", "gone.example 80", "not-allowed"],
  ])("%s, for %s", async ([entry, target, addresses]) => {
    expect(await ruled([entry], target)).toEqual(addresses);
  });

  test("one that has no address leaves the others as they are", async () => {
    expect(await ruled(["gone.example:80", "db:80", "away.example:80"], "10.0.0.5 80")).toEqual(["10.0.0.5"]);
    expect(await ruled(["gone.example:80", "127.0.0.1:80"], "127.0.0.1 80")).toEqual(["127.0.0.1"]);
  });

  test("one that does not answer keeps nobody waiting who is allowed without it", async () => {
    const list = new AllowList(["slow.example:80", "db:80"]);
    const slow = Promise.withResolvers<readonly string[]>();
    const lookUp: LookUp = (name) => (name === "slow.example" ? slow.promise : Promise.resolve(NAMES[name] ?? []));
    expect(await list.rule("10.0.0.5", 80, undefined, lookUp)).toEqual({ addresses: ["10.0.0.5"] });
    const other = list.rule("10.0.0.6", 80, undefined, lookUp);
    expect(await isPending(other)).toBe(true);
    slow.resolve(["10.0.0.6"]);
    expect(await other).toEqual({ addresses: ["10.0.0.6"] });
  });

  test("are not looked up where they cannot matter", async () => {
    const looked = async (target: string, port: number, identity?: string): Promise<string[]> => {
      const { lookUp, names } = asked();
      await new AllowList(["10.0.0.5:80", "localhost:80", "alice=db:81"]).rule(target, port, identity, lookUp);
      return names;
    };
    expect(await looked("10.0.0.5", 80)).toEqual([]);
    expect(await looked("two.example", 80)).toEqual(["two.example"]);
    expect(await looked("localhost", 80)).toEqual(["localhost"]);
    expect(await looked("10.0.0.6", 80)).toEqual(["localhost"]);
    // A port at which nothing is allowed, for this client.
    expect(await looked("two.example", 82)).toEqual([]);
    expect(await looked("two.example", 81, "bob")).toEqual([]);
  });

  test("the far end is told what was looked for in vain", async () => {
    const why = async (entries: string[], host: string): Promise<Ruling> =>
      new AllowList(entries).rule(host, 80, undefined, asked().lookUp);
    expect(await why(["gone.example:80"], "two.example")).toEqual({
      refused: "not-allowed",
      why:
        "no entry of the allow-list for this port and this client has 10.0.0.5, fd00::5; " +
        "names of the list that could not be looked up: gone.example",
    });
    expect(await why(["db:80"], "gone.example")).toEqual({
      refused: "not-allowed",
      why: "its name could not be looked up: gone.example has no address",
    });
    const many = Array.from({ length: 10 }, (_, at) => `gone-${at}.example:80`);
    expect(await why(many, "db")).toMatchObject({ why: expect.stringMatching(/gone-7\.example, and 2 more$/) });
  });
});

describe("identities and ports", () => {
  const ENTRIES = ["db:80", "alice=db:8000-8999", "Bob Smith=[fd00::/8]:443", "bob=unix:/run/a=b", "unix:/run/all"];

  test.for<[target: string, identity: string | undefined, isAllowed: boolean]>([
    ["db 80", undefined, true],
    ["db 80", "alice", true],
    ["db 8000", "alice", true],
    ["db 8999", "alice", true],
    ["db 7999", "alice", false],
    ["db 9000", "alice", false],
    ["db 8000", "Alice", false],
    ["db 8000", "bob", false],
    ["db 8000", undefined, false],
    ["two.example 443", "Bob Smith", true],
    ["two.example 443", "alice", false],
  ])("%s for %s: %s", async ([target, identity, isAllowed]) => {
    expect(typeof (await ruled(ENTRIES, target, identity)) === "object").toBe(isAllowed);
  });

  test.for<[path: string, identity: string | undefined, isAllowed: boolean]>([
    ["/run/all", undefined, true],
    ["/run/all", "bob", true],
    ["/run/a=b", "bob", true],
    ["/run/a=b", "alice", false],
    ["/run/a=b", undefined, false],
    ["/run", "bob", false],
    ["/run/all/x", "bob", false],
    ["", "bob", false],
  ])("the socket %j for %s: %s", ([path, identity, isAllowed]) => {
    expect(new AllowList(ENTRIES).allowsPath(path, identity)).toBe(isAllowed);
  });

  test("nothing is allowed by an empty list", async () => {
    expect(await ruled([], "127.0.0.1 80")).toBe("not-allowed");
    expect(new AllowList([]).allowsPath("/run/all", undefined)).toBe(false);
  });
});

test.for<[entry: string, problem: RegExp]>([
  ["80", /^"80": neither HOST:PORT/],
  [":80", /a host stands before the port/],
  ["=db:80", /before the = stands the identity/],
  ["alice=", /neither HOST:PORT/],
  ["*:80", /0\.0\.0\.0\/0:443 and \[::\/0\]:443 is everywhere/],
  ["0.0.0.0:80", /none to connect to/],
  ["127.1:80", /written as in/],
  ["10.0.0.0/33:80", /neither an address nor a network/],
  ["10.0.0.0/:80", /neither an address nor a network/],
  ["10.0.0.0/08:80", /neither an address nor a network/],
  ["db/8:80", /neither an address nor a network/],
  ["[10.0.0.0/8]:80", /an IPv6 network goes in brackets/],
  ["fd00::/8:80", /in brackets/],
  ["[fe80::1%eth0]:80", /no zones/],
  ["db:0", /a port is a number/],
  ["db:0-80", /a port is a number/],
  ["db:80-", /a port is a number/],
  ["db:-80", /a port is a number/],
  ["db:81-80", /a range of ports/],
  ["db:1-2-3", /a range of ports/],
  ["db:*", /a port is a number/],
  ["unix:run/db", /begins with \//],
  ["alice=unix:/run/\0", /control characters/],
])("%j is no entry", ([entry, problem]) => {
  expect(() => new AllowList(["127.0.0.1:80", entry])).toThrow(problem);
  expect(() => new AllowList([entry])).toThrow(RespliceError);
});

test("a list has at most 1,000 entries", () => {
  const entries = Array.from({ length: 1_000 }, () => "127.0.0.1:80");
  expect(() => new AllowList(entries)).not.toThrow();
  expect(() => new AllowList([...entries, "127.0.0.1:80"])).toThrow(/1001 entries.*at most 1000/);
});
