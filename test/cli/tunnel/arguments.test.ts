import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { TUNNEL_HELP } from "../../../src/cli/help.ts";
import { parseTunnel } from "../../../src/cli/tunnel/arguments.ts";
import type { CheckArguments, FarArguments, NearArguments } from "../../../src/cli/tunnel/types.ts";
import { UsageError } from "../../../src/cli/usage.ts";

const NO_SECRETS = {};
const words = (line: string): string[] => line.split(" ").filter((word) => word !== "");

function far(line: string, environment = NO_SECRETS): FarArguments {
  const command = parseTunnel(["far", ...words(line)], environment);
  if (command.name !== "tunnel-far") throw new Error(command.name);
  return command.options;
}

function near(line: string, environment = NO_SECRETS): NearArguments {
  const command = parseTunnel(["near", ...words(line)], environment);
  if (command.name !== "tunnel-near") throw new Error(command.name);
  return command.options;
}

function check(line: string): CheckArguments {
  const command = parseTunnel(["check", ...words(line)], NO_SECRETS);
  if (command.name !== "tunnel-check") throw new Error(command.name);
  return command.options;
}

const FAR = "127.0.0.1:7000 --allow db:5432";
const NEAR = "5432 localhost:7000 --to db:5432";
const DB = { host: "db", port: 5_432 };
const COMMON = {
  tls: undefined,
  surviveMs: 300_000,
  maxConnections: undefined,
  drainMs: 10_000,
  name: undefined,
  json: false,
  verbose: false,
  metrics: undefined,
  notes: [],
};

describe("what both ends take", () => {
  test("has defaults", () => {
    expect(far(FAR)).toEqual({
      ...COMMON,
      listen: { host: "127.0.0.1", port: 7_000 },
      allow: expect.anything() as unknown,
      tokens: undefined,
      maxConnectionsEach: undefined,
      sendProxy: undefined,
    });
    expect(near(NEAR)).toEqual({
      ...COMMON,
      far: { host: "localhost", port: 7_000 },
      tunnels: [{ name: undefined, listen: { host: "127.0.0.1", port: 5_432 }, target: DB }],
      token: undefined,
      acceptProxy: undefined,
    });
  });

  test.for([`far ${FAR}`, `near ${NEAR}`])("%s", (line) => {
    const all =
      "--survive 60 --max-connections 50 --drain 0 --name here --json --verbose --metrics 9100 --tls-cert c --tls-key k";
    expect(parseTunnel(words(`${line} ${all}`), NO_SECRETS)).toMatchObject({
      options: {
        tls: { cert: "c", key: "k", ca: undefined, servername: undefined },
        surviveMs: 60_000,
        maxConnections: 50,
        drainMs: 0,
        name: "here",
        json: true,
        verbose: true,
        metrics: { host: "127.0.0.1", port: 9_100 },
      },
    });
  });

  test.for<[line: string, message: RegExp]>([
    ["", /^tunnel needs a command: one of far, near, check$/],
    ["neer", /^unknown command tunnel "neer" \(did you mean near\?\): one of/],
    [`far ${FAR} --alow x:1`, /'--alow' \(did you mean --allow\?\)\. tunnel far takes --allow, --tokens/],
    [`near ${NEAR} --token s3cret`, /^Unknown option '--token'\. tunnel near takes (?!.*s3cret)/],
    [`far ${FAR} --survive 0`, /--survive 0: a number from 0\.001/],
    [`far ${FAR} --drain -1`, /--drain/],
    [`far ${FAR} --max-connections 0`, /--max-connections 0: a number from 1/],
    [`far ${FAR} --max-connections 1.5`, /a whole number/],
    [`far ${FAR} --max-connections-each 0`, /--max-connections-each 0: a number from 1/],
    [`near ${NEAR} --max-connections-each 5`, /^Unknown option '--max-connections-each'/],
    [`far ${FAR} --name a/b`, /^--name: 1 to 64 letters/],
    [`far ${FAR} --metrics x`, /is no PORT or HOST:PORT/],
    [`far ${FAR} --tls-cert c`, /--tls-cert and --tls-key belong together/],
    [`near ${NEAR} --tls-key k`, /--tls-cert and --tls-key belong together/],
    [`far ${FAR} --config`, /--config/],
  ])("%s is no use", ([line, message]) => {
    expect(() => parseTunnel(words(line), NO_SECRETS)).toThrow(UsageError);
    expect(() => parseTunnel(words(line), NO_SECRETS)).toThrow(message);
  });
});

describe("far", () => {
  const TLS = "--tls-cert c --tls-key k";

  test.for<[line: string, listen: object]>([
    [`7000 ${TLS} --tokens t`, { port: 7_000 }],
    [`[::1]:7000`, { host: "::1", port: 7_000 }],
    [`127.0.0.2:0`, { host: "127.0.0.2", port: 0 }],
    [`[::ffff:127.0.0.1]:7000`, { host: "::ffff:127.0.0.1", port: 7_000 }],
    [`LOCALHOST:7000`, { host: "LOCALHOST", port: 7_000 }],
    [`fd:3 ${TLS} --tls-ca ca`, { fd: 3 }],
  ])("listens at %s", ([line, listen]) => {
    expect(far(`${line} --allow db:5432`)).toMatchObject({ listen, notes: [] });
  });

  test("asks for tokens of a file, or of the environment", () => {
    const environment = { RESPLICE_TOKENS: "alice 0123456789abcdef" };
    expect(far(`${FAR} --tokens t`, environment).tokens).toEqual({ file: "t" });
    expect(far(FAR, environment).tokens).toEqual({ variable: "RESPLICE_TOKENS" });
    expect(far(FAR, { RESPLICE_TOKENS: "" }).tokens).toBeUndefined();
    expect(JSON.stringify(far(FAR, environment))).not.toContain("0123456789abcdef");
  });

  test("allows what is said and nothing else", async () => {
    const { allow } = far("127.0.0.1:7000 --allow 10.0.0.1:80 --allow alice=10.0.0.2:80");
    const rule = async (host: string, identity?: string): Promise<object> =>
      allow.rule(host, 80, identity, () => Promise.reject(new Error("not asked")));
    expect(await rule("10.0.0.1")).toEqual({ addresses: ["10.0.0.1"] });
    expect(await rule("10.0.0.2", "alice")).toEqual({ addresses: ["10.0.0.2"] });
    expect(await rule("10.0.0.2")).toMatchObject({ refused: "not-allowed" });
  });

  test("sends PROXY headers", () => {
    expect(far(`${FAR} --send-proxy v1`).sendProxy).toBe(1);
    expect(far(`${FAR} --send-proxy v2`).sendProxy).toBe(2);
  });

  test.for<[line: string, missing: RegExp]>([
    [
      "7000",
      /^this end listens at 7000, which others can reach, without TLS \(.*\) and without tokens \(.*\)\. --insecure/,
    ],
    ["0.0.0.0:7000 --tokens t", /without TLS \(--tls-cert, --tls-key\)\. --insecure/],
    [
      `[::]:7000 ${TLS}`,
      /others can reach, without tokens \(.*\) or certificates of clients \(--tls-ca\)\. --insecure/,
    ],
    ["here.example:7000", /without TLS/],
    ["128.0.0.1:7000", /without TLS/],
    ["localhost.example:7000", /without TLS/],
    ["[::ffff:10.0.0.1]:7000", /without TLS/],
    ["fd:3", /listens at fd:3, which others can reach, without TLS/],
  ])("%s is not protected: it takes --insecure, and says so", ([line, missing]) => {
    expect(() => far(`${line} --allow db:5432`)).toThrow(UsageError);
    expect(() => far(`${line} --allow db:5432`)).toThrow(missing);
    expect(far(`${line} --allow db:5432 --insecure`).notes).toEqual([
      expect.stringMatching(/^this end listens at .* without .*, as --insecure allows$/),
    ]);
  });

  test.for<[line: string, message: RegExp]>([
    ["--allow db:5432", /^listen where\?/],
    ["127.0.0.1:7000", /^--allow is needed: nothing is allowed by default/],
    [`${FAR} 7001`, /^tunnel far takes one argument, not 2/],
    [`${FAR} --allow db`, /^"db": neither HOST:PORT/],
    [`${FAR} --allow *:80`, /0\.0\.0\.0\/0:443 and \[::\/0\]:443 is everywhere/],
    [`${FAR} --send-proxy 3`, /--send-proxy "3": v1 or v2/],
    [`${FAR} --tls-ca ca`, /asks clients for certificates, with --tls-cert and --tls-key only/],
    [`${FAR} --tls`, /Unknown option '--tls'/],
    [`${FAR} --to db:1`, /Unknown option '--to'/],
    ["unix:/run/far --allow db:1", /listens at a port/],
    ["fd:2 --allow db:1", /a descriptor from fd:3/],
    ["fd:x --allow db:1", /a descriptor from fd:3/],
    ["fd:1025 --allow db:1", /to fd:1024/],
    ["db:x --allow db:1", /is no PORT or HOST:PORT/],
  ])("%s is no use", ([line, message]) => {
    expect(() => far(line)).toThrow(UsageError);
    expect(() => far(line)).toThrow(message);
  });
});

describe("near", () => {
  test.for<[line: string, listen: object, target: object]>([
    ["5432 localhost:7000 --to db:5432", { host: "127.0.0.1", port: 5_432 }, DB],
    ["[::1]:0 localhost:7000 --to [fd00::1]:80", { host: "::1", port: 0 }, { host: "fd00::1", port: 80 }],
    ["unix:/run/a=b localhost:7000 --to unix:/run/c=d", { path: "/run/a=b" }, { path: "/run/c=d" }],
    ["localhost:7000 --to fd:3=unix:/run/c=d", { fd: 3 }, { path: "/run/c=d" }],
    ["localhost:7000 --to unix:/run/a=db:5432", { path: "/run/a" }, DB],
  ])("%s", ([line, listen, target]) => {
    expect(near(line).tunnels).toEqual([{ name: undefined, listen, target }]);
  });

  test("several listeners", () => {
    const { far: at, tunnels } = near("7000 --to 5432=db:5432 --to [::1]:80=web:80");
    expect(at).toEqual({ host: "localhost", port: 7_000 });
    expect(tunnels.map(({ target }) => target)).toEqual([DB, { host: "web", port: 80 }]);
  });

  test("sends a token of a file, or of the environment", () => {
    const environment = { RESPLICE_TOKEN: "0123456789abcdef" };
    expect(near(`${NEAR} --token-file t`, environment).token).toEqual({ file: "t" });
    expect(near(NEAR, environment).token).toEqual({ variable: "RESPLICE_TOKEN" });
    expect(JSON.stringify(near(NEAR, environment))).not.toContain("0123456789abcdef");
  });

  test.for(["--tls", "--tls-ca ca", "--servername far.test", "--tls-cert c --tls-key k"])("%s is TLS", (options) => {
    expect(near(`5432 far.example:7000 --to db:5432 ${options}`)).toMatchObject({ tls: {}, notes: [] });
  });

  test("a far end elsewhere takes TLS, or --insecure, and that is said", () => {
    const line = "5432 far.example:7000 --to db:5432";
    expect(() => near(line)).toThrow(
      /^this end goes to far\.example:7000 over the network without TLS \(--tls, --tls-ca\)\. --insecure/,
    );
    expect(near(`${line} --insecure`).notes).toEqual([expect.stringMatching(/as --insecure allows$/)]);
  });

  test("whom a listener lets in is said where that is not this machine alone", () => {
    expect(near("0.0.0.0:5432 7000 --to db:5432").notes).toEqual([
      "whoever can connect to 0.0.0.0:5432 reaches db:5432",
    ]);
    expect(near("7000 --to fd:3=db:5432 --to unix:/run/a=db:5432 --to [::1]:1=db:5432").notes).toEqual([]);
  });

  test("takes PROXY headers of balancers", () => {
    expect(near(`${NEAR} --accept-proxy 10.0.0.0/8,unix`).acceptProxy).toEqual(["10.0.0.0/8", "unix"]);
  });

  test.for<[line: string, message: RegExp]>([
    ["", /^which far end\?/],
    ["5432 7000", /^--to is needed/],
    ["7000", /^--to is needed/],
    ["7000 --to db:5432", /^--to is LISTEN=TARGET/],
    ["5432 7000 --to a:1 --to b:2", /^one listener has one --to/],
    ["5432 7000 9000 --to a:1", /^tunnel near takes two arguments, not 3/],
    ["5432 7000 --to 5433=db:5432", /neither HOST:PORT|a host is/],
    ["5432 me:s3cr3t@far:7000 --to db:1", /^an address with an @ in it/],
    ["5432 7000 --to me:s3cr3t@db:1", /^a text with an @ in it/],
    ["5432 0 --to db:1", /from 1 to 65535/],
    ["unix:run/a 7000 --to db:1", /begins with \//],
    [`${NEAR} --accept-proxy 10.0.0.0/8,db`, /^"db": neither an address, a network/],
    [`${NEAR} --allow db:1`, /Unknown option '--allow'/],
    [`7000 ${"--to 0=db:1 ".repeat(257)}`, /--to is given 257 times: at most 256/],
  ])("%s is no use", ([line, message]) => {
    expect(() => near(line)).toThrow(UsageError);
    expect(() => near(line)).toThrow(message);
  });
});

describe("check", () => {
  test("takes a target and a far end, and how to connect there", () => {
    expect(check("db:5432 far.example:7000 --tls --token-file t --within 2")).toEqual({
      far: { host: "far.example", port: 7_000 },
      tls: { cert: undefined, key: undefined, ca: undefined, servername: undefined },
      token: { file: "t" },
      target: DB,
      withinMs: 2_000,
    });
    expect(check("unix:/run/db 7000")).toMatchObject({ target: { path: "/run/db" }, tls: undefined, withinMs: 10_000 });
  });

  test.for<[line: string, message: RegExp]>([
    ["", /^check what\?/],
    ["db:5432", /^through which far end\?/],
    ["db 7000", /^"db" is no HOST:PORT, and no tunnel; no tunnel of a --config has a name/],
    ["db:5432 far.example:7000", /without TLS/],
    ["db:5432 7000 --within 0", /--within 0/],
    ["db:5432 7000 --drain 0", /Unknown option '--drain'/],
  ])("%s is no use", ([line, message]) => {
    expect(() => check(line)).toThrow(UsageError);
    expect(() => check(line)).toThrow(message);
  });
});

describe("a file of settings", () => {
  const folder = mkdtempSync(join(tmpdir(), "resplice-config-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "tunnel.json");
  const config = (settings: unknown): string => {
    writeFileSync(path, JSON.stringify(settings));
    return path;
  };

  test("says what the command line would say", () => {
    const settings = { listen: "127.0.0.1:7000", allow: ["db:5432"], survive: 1.5, json: true, tokens: "tokens" };
    expect(far(`--config ${config(settings)}`)).toEqual({
      ...far(`${FAR} --survive 1.5 --json`),
      tokens: { file: join(folder, "tokens") },
    });
    const to = ["5432=db:5432", { name: "web", listen: 80, target: "web:80" }];
    const { tunnels, far: at } = near(`--config ${config({ far: 7_000, to })}`);
    expect(at).toEqual({ host: "localhost", port: 7_000 });
    expect(tunnels).toEqual([
      { name: undefined, listen: { host: "127.0.0.1", port: 5_432 }, target: DB },
      { name: "web", listen: { host: "127.0.0.1", port: 80 }, target: { host: "web", port: 80 } },
    ]);
  });

  test("gives way to the command line", async () => {
    const settings = { listen: "127.0.0.1:7000", allow: ["10.0.0.1:80"], drain: 3, survive: 5 };
    const given = far(`127.0.0.1:7001 --drain 4 --allow 10.0.0.2:80 --config ${config(settings)}`);
    expect(given).toMatchObject({ listen: { port: 7_001 }, drainMs: 4_000, surviveMs: 5_000 });
    const rule = async (host: string): Promise<object> => given.allow.rule(host, 80, undefined, () => Promise.reject());
    expect(await rule("10.0.0.2")).toEqual({ addresses: ["10.0.0.2"] });
    expect(await rule("10.0.0.1")).toMatchObject({ refused: "not-allowed" });
    const file = config({ far: 7_000, to: ["5432=db:5432"] });
    expect(near(`7001 --config ${file}`)).toMatchObject({ far: { port: 7_001 }, tunnels: [{ target: DB }] });
    expect(near(`80 7001 --to web:80 --config ${file}`).tunnels).toMatchObject([{ target: { host: "web" } }]);
    expect(() => near(`80 7001 --config ${file}`)).toThrow(/--to is needed/);
  });

  test("names tunnels to check", () => {
    const to = [{ name: "db", listen: 5_432, target: "db:5432" }, "80=web:80"];
    const file = config({ far: "far.example:7000", to, tls: true, drain: 1 });
    expect(check(`db --config ${file}`)).toMatchObject({ far: { host: "far.example" }, target: DB, tls: {} });
    expect(check(`web:80 7001 --config ${file}`)).toMatchObject({ far: { port: 7_001 }, target: { host: "web" } });
    expect(() => check(`dc --config ${file}`)).toThrow(/no tunnel \(did you mean db\?\); there are: db$/);
  });

  test.for<[settings: unknown, message: RegExp]>([
    [{ listen: 7_000, alow: ["db:1"] }, /tunnel\.json: there is no "alow" \(did you mean allow\?\); there are: allow/],
    [{ token: "s3cr3t-0123456789" }, /there is no "token" \(did you mean tokens\?\); there are: (?!.*s3cr3t)/],
    [{ config: "x" }, /there is no "config"/],
    [{ to: ["1=db:1"] }, /there is no "to"/],
    [[], /has no object/],
    [null, /has no object/],
    [{ allow: "db:5432" }, /allow is a list of texts/],
    [{ allow: [1] }, /allow is a list of texts/],
    [{ json: "yes" }, /json is true or false/],
    [{ survive: [1] }, /survive is a text or a number/],
    [{ survive: "long", listen: "127.0.0.1:1", allow: ["db:1"] }, /--survive long: a number/],
    [{ tokens: "", listen: "127.0.0.1:1", allow: ["db:1"] }, /--tokens is empty/],
    [{ listen: true }, /listen is a text/],
  ])("%j is none for far", ([settings, message]) => {
    expect(() => far(`--config ${config(settings)}`)).toThrow(UsageError);
    expect(() => far(`--config ${config(settings)}`)).toThrow(message);
  });

  test.for<[to: unknown, message: RegExp]>([
    ["5432=db:5432", /to is a list of at most 256 tunnels/],
    [Array.from({ length: 257 }, () => "0=db:1"), /at most 256/],
    [["db:5432"], /to\[0\] is LISTEN=TARGET/],
    [[1], /to\[0\] is "LISTEN=TARGET", or \{/],
    [[null], /to\[0\] is "LISTEN=TARGET", or \{/],
    [[{ listen: 1 }], /to\[0\] is "LISTEN=TARGET", or \{/],
    [[{ listen: 1, target: "db:1", nam: "x" }], /to\[0\]: there is no "nam" \(did you mean name\?\)/],
    [[{ listen: 1, target: "db:1", name: "a b" }], /to\[0\]\.name: 1 to 64 letters/],
    [[{ listen: 1, target: "db:1", name: 7 }], /to\[0\]\.name: 1 to 64 letters/],
    [["1=db:1", { name: "a", listen: 1, target: "a:1" }, { name: "a", listen: 2, target: "b:1" }], /have the name a$/],
  ])("%j are no tunnels", ([to, message]) => {
    expect(() => near(`7000 --config ${config({ to })}`)).toThrow(UsageError);
    expect(() => near(`7000 --config ${config({ to })}`)).toThrow(message);
  });

  test("that cannot be read, or is no JSON, is named, and is not quoted", () => {
    expect(() => far(`--config ${path}.none`)).toThrow(/^--config .*tunnel\.json\.none cannot be read: ENOENT$/);
    writeFileSync(path, '{ "tokens": "t"\n  "s3cr3t": 1 }');
    expect(() => far(`--config ${path}`)).toThrow(/^--config .*tunnel\.json is no JSON: line 2 column 3$/);
    writeFileSync(path, "s3cr3t");
    expect(() => far(`--config ${path}`)).toThrow(/is no JSON: somewhere$/);
    writeFileSync(path, `{ "name": "${"a".repeat(1_048_577)}" }`);
    expect(() => far(`--config ${path}`)).toThrow(/is longer than 1 MiB$/);
    writeFileSync(path, '\uFEFF{ "listen": "127.0.0.1:1", "allow": ["db:1"] }');
    expect(far(`--config ${path}`).listen).toEqual({ host: "127.0.0.1", port: 1 });
  });
});

describe("help", () => {
  test.for(["--help", "-h", "help", "far --help", "near -h 7000", "check --help"])("%s", (line) => {
    expect(parseTunnel(words(line), NO_SECRETS)).toEqual({ name: "tunnel-help" });
  });

  test.for(["far", "near", "check"])("has each option of %s, and fits into 120 columns", (name) => {
    const listed = ((): string => {
      try {
        return parseTunnel([name, "--none"], NO_SECRETS).name;
      } catch (error) {
        return (error as Error).message;
      }
    })();
    const options = listed.match(/--[\w-]+/gu) ?? [];
    expect(options.length).toBeGreaterThan(8);
    const known = new Set(TUNNEL_HELP.match(/--[\w-]+/gu));
    expect(options.filter((option) => !["--none", "--help"].includes(option) && !known.has(option))).toEqual([]);
    expect(TUNNEL_HELP.split("\n").filter((line) => line.length > 120)).toEqual([]);
  });
});
