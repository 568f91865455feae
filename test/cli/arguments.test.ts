import { describe, expect, test } from "vitest";
import { parseCommandLine } from "../../src/cli/arguments.ts";
import { UsageError } from "../../src/cli/usage.ts";

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

  const PLAIN = { progress: false, verbose: false, giveUpMs: undefined, resumeForMs: undefined, tokenFile: undefined };

  test("listen and connect take an address, and options on either side of it", () => {
    expect(parseCommandLine(["listen", "7000"])).toEqual({
      name: "listen",
      options: { ...PLAIN, address: { host: undefined, port: 7000 }, tls: undefined },
    });
    expect(parseCommandLine(["connect", "--progress", "there:7000", "--verbose"])).toEqual({
      name: "connect",
      options: { ...PLAIN, address: { host: "there", port: 7000 }, progress: true, verbose: true, tls: undefined },
    });
  });

  test("how long one end waits for the other is given in seconds", () => {
    expect(parseCommandLine(["connect", "7000", "--give-up", "1.5"])).toMatchObject({ options: { giveUpMs: 1_500 } });
    expect(parseCommandLine(["listen", "7000", "--resume-for=60"])).toMatchObject({ options: { resumeForMs: 60_000 } });
  });

  const NO_FILES = { cert: undefined, key: undefined, ca: undefined, servername: undefined };

  test.for<[args: string[], tls: object]>([
    [["connect", "--tls"], NO_FILES],
    [["connect", "--ca", "ca.pem"], { ...NO_FILES, ca: "ca.pem" }],
    [["connect", "--servername", "a.test"], { ...NO_FILES, servername: "a.test" }],
    [["connect", "--cert", "c.pem", "--key", "k.pem"], { ...NO_FILES, cert: "c.pem", key: "k.pem" }],
    [["listen", "--cert", "c.pem", "--key", "k.pem"], { ...NO_FILES, cert: "c.pem", key: "k.pem" }],
  ])("%j turns TLS on", ([args, tls]) => {
    expect(parseCommandLine([...args, "7000"])).toMatchObject({ options: { tls } });
  });

  test("the token is in a file", () => {
    const args = ["listen", "7000", "--token-file", "secret"];
    expect(parseCommandLine(args)).toMatchObject({ options: { tokenFile: "secret", tls: undefined } });
  });

  test("the demo has defaults, and a seed that is drawn", () => {
    const command = parseCommandLine(["demo"]);
    expect(command).toMatchObject({
      name: "demo",
      options: { messages: undefined, seconds: 10, toxiproxy: false, json: false, verbose: false, page: false },
    });
    const seeds = [command, parseCommandLine(["demo"])].map((one) => one.name === "demo" && one.options.seed);
    expect(seeds[0]).not.toBe(seeds[1]);
  });

  test("the demo with a page lasts longer", () => {
    expect(parseCommandLine(["demo", "--page"])).toMatchObject({ options: { seconds: 300 } });
    expect(parseCommandLine(["demo", "--page", "--seconds", "5"])).toMatchObject({ options: { seconds: 5 } });
  });

  test("the demo takes all that is said of it", () => {
    const args = [
      "demo",
      "--seconds",
      "2.5",
      "--messages=300",
      "--seed",
      "7",
      "--toxiproxy",
      "--json",
      "--verbose",
      "--page",
    ];
    expect(parseCommandLine(args)).toEqual({
      name: "demo",
      options: { messages: 300, seconds: 2.5, seed: 7, toxiproxy: true, json: true, verbose: true, page: true },
    });
  });

  test.for<[args: string[], message: RegExp]>([
    [[], /no command: one of listen, connect, tunnel, chaos, demo/],
    [["lsten", "7000"], /unknown command "lsten"/],
    [["--progress", "listen", "7000"], /first the command/],
    [["listen"], /listen 7000/],
    [["connect"], /connect host:7000/],
    [["listen", "7000", "7001"], /one argument, not 2/],
    [["connect", "me:s3cr3t@host:7000"], /^an address with an @/],
    [["demo", "10"], /no argument, not 1/],
    [
      ["listen", "7000", "--json"],
      /listen takes --progress, --verbose, --cert, --key, --ca, --token-file, --resume-for, --help/,
    ],
    [
      ["listen", "7000", "--tokn-file", "x"],
      /Unknown option '--tokn-file' \(did you mean --token-file\?\)\. listen takes/,
    ],
    [["listen", "7000", "--give-up", "1"], /--give-up/],
    [["connect", "7000", "--resume-for", "1"], /--resume-for/],
    [["connect", "7000", "--give-up", "0"], /--give-up 0: a number from 0.001/],
    [["listen", "7000", "--tls"], /--tls/],
    [["listen", "7000", "--cert", "c.pem"], /--cert and --key belong together/],
    [["connect", "7000", "--key", "k.pem"], /--cert and --key belong together/],
    [["listen", "7000", "--ca", "ca.pem"], /with --cert and --key only/],
    [["connect", "7000", "--token-file", ""], /--token-file is empty/],
    [["demo", "--seconds"], /--seconds/],
    [["demo", "--json=yes"], /--json/],
    [["demo", "--seconds", "0"], /--seconds 0: a number from 1/],
    [["demo", "--seconds", "ten"], /--seconds ten/],
    [["demo", "--seconds", "1e3"], /--seconds 1e3/],
    [["demo", "--messages", "0"], /--messages 0/],
    [["demo", "--messages", "1.5"], /--messages 1.5: a whole number/],
    [["demo", "--messages", "1000000"], /at most 200000 in 10 s/],
    [["demo", "--seed", "4294967296"], /--seed/],
    [["chaos", "--seed", "1", "--schedule", "x"], /give one of them/],
    [["chaos", "--report", ""], /--report is empty/],
    [["chaos", "--to", "nowhere"], /"nowhere" is no PORT or HOST:PORT/],
    [["chaos", "--listen", "7000"], /--listen is where clients of the server of --to connect to/],
    [["chaos", "--to", "5432", "--verbose"], /--verbose logs what our own two ends do/],
    [["chaos", "--to", "localhost:5432", "--listen", "5432"], /--listen: there is the server of --to/],
    [["chaos", "--page"], /Unknown option '--page'\. chaos takes --seconds, --seed, --schedule/],
  ])("%j is no use", ([args, message]) => {
    expect(() => parseCommandLine(args)).toThrow(UsageError);
    expect(() => parseCommandLine(args)).toThrow(message);
  });
});
