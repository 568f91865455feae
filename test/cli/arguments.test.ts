import { describe, expect, test } from "vitest";
import { formatAddress, parseAddress, parseCommandLine, UsageError } from "../../src/cli/arguments.ts";

describe("commands", () => {
  test.for([["--help"], ["-h"], ["help"], ["listen", "--help"], ["connect", "-h"], ["demo", "--help", "--json"]])(
    "%j is help",
    (args) => {
      expect(parseCommandLine(args)).toEqual({ name: "help" });
    },
  );

  test.for([["--version"], ["-V"]])("%j is the version", (args) => {
    expect(parseCommandLine(args)).toEqual({ name: "version" });
  });

  test("listen and connect take an address, and options on either side of it", () => {
    expect(parseCommandLine(["listen", "7000"])).toEqual({
      name: "listen",
      options: { address: { host: undefined, port: 7000 }, progress: false, verbose: false },
    });
    expect(parseCommandLine(["connect", "--progress", "there:7000", "--verbose"])).toEqual({
      name: "connect",
      options: { address: { host: "there", port: 7000 }, progress: true, verbose: true },
    });
  });

  test("the demo has defaults, and a seed that is drawn", () => {
    const command = parseCommandLine(["demo"]);
    expect(command).toMatchObject({
      name: "demo",
      options: { messages: undefined, seconds: 10, toxiproxy: false, json: false, verbose: false },
    });
    const seeds = [command, parseCommandLine(["demo"])].map((one) => one.name === "demo" && one.options.seed);
    expect(seeds[0]).not.toBe(seeds[1]);
  });

  test("the demo takes all that is said of it", () => {
    const args = ["demo", "--seconds", "2.5", "--messages=300", "--seed", "7", "--toxiproxy", "--json", "--verbose"];
    expect(parseCommandLine(args)).toEqual({
      name: "demo",
      options: { messages: 300, seconds: 2.5, seed: 7, toxiproxy: true, json: true, verbose: true },
    });
  });

  test.for<[args: string[], message: RegExp]>([
    [[], /no command: one of listen, connect, demo/],
    [["lsten", "7000"], /unknown command "lsten"/],
    [["--progress", "listen", "7000"], /first the command/],
    [["listen"], /listen 7000/],
    [["connect"], /connect host:7000/],
    [["listen", "7000", "7001"], /one argument, not 2/],
    [["connect", "me:s3cr3t@host:7000"], /^an address with an @/],
    [["demo", "10"], /no argument, not 1/],
    [["listen", "7000", "--json"], /listen takes --progress, --verbose, --help/],
    [["demo", "--seconds"], /--seconds/],
    [["demo", "--json=yes"], /--json/],
    [["demo", "--seconds", "0"], /--seconds 0: a number from 1/],
    [["demo", "--seconds", "ten"], /--seconds ten/],
    [["demo", "--seconds", "1e3"], /--seconds 1e3/],
    [["demo", "--messages", "0"], /--messages 0/],
    [["demo", "--messages", "1.5"], /--messages 1.5: a whole number/],
    [["demo", "--messages", "1000000"], /at most 200000 in 10 s/],
    [["demo", "--seed", "4294967296"], /--seed/],
  ])("%j is no use", ([args, message]) => {
    expect(() => parseCommandLine(args)).toThrow(UsageError);
    expect(() => parseCommandLine(args)).toThrow(message);
  });
});

describe("addresses", () => {
  test.for<[given: string, host: string | undefined, port: number]>([
    ["7000", undefined, 7000],
    [":7000", undefined, 7000],
    ["there:7000", "there", 7000],
    ["10.0.0.1:1", "10.0.0.1", 1],
    ["[::1]:65535", "::1", 65_535],
    ["[fe80::1%eth0]:7000", "fe80::1%eth0", 7000],
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
