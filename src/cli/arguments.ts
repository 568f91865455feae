/** Parses and checks the command line. */
import { randomInt } from "node:crypto";
import { parseArgs, type ParseArgsOptionsConfig } from "node:util";

/** Where to listen or to connect. */
export interface Address {
  /** Undefined: every address for `listen`, localhost for `connect`. */
  readonly host: string | undefined;
  readonly port: number;
}

export interface PipeArguments {
  readonly address: Address;
  readonly progress: boolean;
  readonly verbose: boolean;
  /** Of connect: ends after so long without a connection. Undefined: never. */
  readonly giveUpMs: number | undefined;
  /** Of listen: for how long a client that has gone may come back. Undefined: the library's default. */
  readonly resumeForMs: number | undefined;
  /** Undefined: no TLS. */
  readonly tls: TlsFiles | undefined;
  /** The file of a secret that both ends have. Undefined: none. */
  readonly tokenFile: string | undefined;
}

/** PEM files. */
export interface TlsFiles {
  readonly cert: string | undefined;
  readonly key: string | undefined;
  readonly ca: string | undefined;
  /** The name that the other end's certificate must have, if it is not the host's. */
  readonly servername: string | undefined;
}

export interface DemoArguments {
  /** Undefined: as many as the usual rate gives in that time. */
  readonly messages: number | undefined;
  readonly seconds: number;
  readonly seed: number;
  readonly toxiproxy: boolean;
  readonly json: boolean;
  readonly verbose: boolean;
  /** Both processes serve a live page. */
  readonly page: boolean;
}

export type Command =
  | { readonly name: "help" | "version" }
  | { readonly name: "listen" | "connect"; readonly options: PipeArguments }
  | { readonly name: "demo"; readonly options: DemoArguments }
  /** The two processes of the demo, which the demo starts itself. */
  | { readonly name: "demo-sender" | "demo-receiver"; readonly verbose: boolean; readonly page: boolean };

/** The command line is invalid; the message says what would be valid. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

const COMMANDS = ["listen", "connect", "demo"] as const;
const HELP: ParseArgsOptionsConfig = { help: { type: "boolean", short: "h" } };
const SHARED_OPTIONS: ParseArgsOptionsConfig = {
  progress: { type: "boolean" },
  verbose: { type: "boolean" },
  cert: { type: "string" },
  key: { type: "string" },
  ca: { type: "string" },
  "token-file": { type: "string" },
};
const PIPE_OPTIONS: Record<"listen" | "connect", ParseArgsOptionsConfig> = {
  listen: { ...SHARED_OPTIONS, "resume-for": { type: "string" }, ...HELP },
  connect: {
    ...SHARED_OPTIONS,
    "give-up": { type: "string" },
    tls: { type: "boolean" },
    servername: { type: "string" },
    ...HELP,
  },
};
const DEMO_OPTIONS: ParseArgsOptionsConfig = {
  messages: { type: "string" },
  seconds: { type: "string" },
  seed: { type: "string" },
  toxiproxy: { type: "boolean" },
  page: { type: "boolean" },
  json: { type: "boolean" },
  verbose: { type: "boolean" },
  ...HELP,
};
const SEED_MAX = 2 ** 32 - 1;
const LEAST_SECONDS = 0.001;
const SECONDS_MAX = 86_400;
const MESSAGES_MAX = 100_000_000;
/** The highest rate that the demo's sender promises. */
const MESSAGES_PER_SECOND_MAX = 20_000;
const DEFAULT_SECONDS = 10;
/** Whoever opens a page wants to look at it. */
const DEFAULT_SECONDS_WITH_PAGE = 300;

/** @throws UsageError */
export function parseCommandLine(args: readonly string[]): Command {
  const [name, ...rest] = args;
  switch (name) {
    case undefined:
      throw new UsageError(`no command: one of ${COMMANDS.join(", ")}`);
    case "help":
    case "--help":
    case "-h":
      return { name: "help" };
    case "--version":
    case "-V":
      return { name: "version" };
    case "listen":
    case "connect":
      return parsePipe(name, rest);
    case "demo":
      return parseDemo(rest);
    case "demo-sender":
    case "demo-receiver":
      return { name, verbose: rest.includes("--verbose"), page: rest.includes("--page") };
    default:
      if (name.startsWith("-")) {
        throw new UsageError(`${name}: first the command (${COMMANDS.join(", ")}), then its options`);
      }
      throw new UsageError(`unknown command ${JSON.stringify(name)}: one of ${COMMANDS.join(", ")}`);
  }
}

function parsePipe(name: "listen" | "connect", args: string[]): Command {
  const { values, positionals } = parse(name, args, PIPE_OPTIONS[name], 1);
  if (values["help"] === true) return { name: "help" };
  const [where] = positionals;
  if (where === undefined) {
    throw new UsageError(
      name === "listen" ? "listen where? For example: listen 7000" : "connect where? For example: connect host:7000",
    );
  }
  return {
    name,
    options: {
      address: parseAddress(where, name === "listen" ? 0 : 1),
      progress: values["progress"] === true,
      verbose: values["verbose"] === true,
      giveUpMs: milliseconds("--give-up", values["give-up"]),
      resumeForMs: milliseconds("--resume-for", values["resume-for"]),
      tls: parseTls(name, values),
      tokenFile: file("--token-file", values["token-file"]),
    },
  };
}

/** A file is enough to turn TLS on: nothing goes out in clear text because --tls was forgotten. */
function parseTls(command: "listen" | "connect", values: Values): TlsFiles | undefined {
  const [cert, key, ca, servername] = (["cert", "key", "ca", "servername"] as const).map((name) =>
    file(`--${name}`, values[name]),
  );
  if ((cert === undefined) !== (key === undefined)) {
    throw new UsageError("--cert and --key belong together: the files of a certificate and of its private key");
  }
  if (command === "listen" && ca !== undefined && cert === undefined) {
    throw new UsageError("listen takes --ca, which asks clients for certificates, with --cert and --key only");
  }
  const isOn = values["tls"] === true || [cert, ca, servername].some((given) => given !== undefined);
  return isOn ? { cert, key, ca, servername } : undefined;
}

function parseDemo(args: string[]): Command {
  const { values } = parse("demo", args, DEMO_OPTIONS, 0);
  if (values["help"] === true) return { name: "help" };
  const page = values["page"] === true;
  const byDefault = page ? DEFAULT_SECONDS_WITH_PAGE : DEFAULT_SECONDS;
  const seconds = number("--seconds", values["seconds"], byDefault, 1, SECONDS_MAX);
  const messages =
    values["messages"] === undefined ? undefined : integer("--messages", values["messages"], 0, 1, MESSAGES_MAX);
  if (messages !== undefined && messages / seconds > MESSAGES_PER_SECOND_MAX) {
    const most = Math.floor(seconds * MESSAGES_PER_SECOND_MAX);
    throw new UsageError(`--messages ${messages}: at most ${most} in ${seconds} s; --seconds gives them more time`);
  }
  const seed = integer("--seed", values["seed"], randomInt(SEED_MAX + 1), 0, SEED_MAX);
  return {
    name: "demo",
    options: {
      messages,
      seconds,
      seed,
      toxiproxy: values["toxiproxy"] === true,
      json: values["json"] === true,
      verbose: values["verbose"] === true,
      page,
    },
  };
}

type Values = Record<string, string | boolean | undefined>;

function parse(
  command: string,
  args: string[],
  options: ParseArgsOptionsConfig,
  positionalsMax: number,
): { values: Values; positionals: string[] } {
  let parsed: { values: object; positionals: string[] };
  try {
    parsed = parseArgs({ args, options, allowPositionals: true, strict: true });
  } catch (error) {
    // The first sentence of parseArgs' error says what is wrong; the others, how to give an argument that begins with a
    // dash.
    const [what] = (error as Error).message.split(". ");
    const names = Object.keys(options).map((name) => `--${name}`);
    throw new UsageError(`${what}. ${command} takes ${names.join(", ")}`, { cause: error });
  }
  const count = parsed.positionals.length;
  if (count > positionalsMax) {
    // The argument is not shown: it may be the password of an option.
    throw new UsageError(`${command} takes ${positionalsMax === 0 ? "no" : "one"} argument, not ${count}`);
  }
  return { values: parsed.values as Values, positionals: parsed.positionals };
}

/** PORT, HOST:PORT, [IPv6]:PORT. */
export function parseAddress(given: string, leastPort: 0 | 1): Address {
  const { ipv6, host, port } = /^(?:(?:\[(?<ipv6>[^\]]*)\]|(?<host>[^:]*)):)?(?<port>\d+)$/.exec(given)?.groups ?? {};
  if (port === undefined) {
    // The address is not shown: in a URL the password stands before the @.
    if (given.includes("@")) throw new UsageError("an address with an @ in it is no PORT or HOST:PORT");
    const hint = given.split(":").length > 2 ? "; an IPv6 address goes in brackets, as in [::1]:7000" : "";
    throw new UsageError(`${JSON.stringify(given)} is no PORT or HOST:PORT${hint}`);
  }
  if (ipv6 === "" || (ipv6 !== undefined && !/^[\da-f:.]+(%[^\s/%]+)?$/i.test(ipv6))) {
    throw new UsageError(`${JSON.stringify(given)}: ${JSON.stringify(ipv6)} is no IPv6 address`);
  }
  const checked = Number(port);
  if (checked < leastPort || checked > 65_535) {
    throw new UsageError(`port ${port}: from ${leastPort} to 65535${leastPort === 0 ? " (0: any free one)" : ""}`);
  }
  const name = ipv6 ?? host;
  return { host: name === "" ? undefined : name, port: checked };
}

/** HOST:PORT, with an IPv6 address in brackets. */
export function formatAddress({ host, port }: { host?: string | undefined; port: number }): string {
  const shown = host ?? "localhost";
  return shown.includes(":") ? `[${shown}]:${port}` : `${shown}:${port}`;
}

function number(name: string, value: string | boolean | undefined, byDefault: number, least: number, most: number) {
  if (value === undefined) return byDefault;
  const given = typeof value === "string" && /^\d+(\.\d+)?$/.test(value) ? Number(value) : Number.NaN;
  if (!(given >= least && given <= most)) {
    throw new UsageError(`${name} ${String(value)}: a number from ${least} to ${most}`);
  }
  return given;
}

/** Seconds on the command line. */
function milliseconds(name: string, value: string | boolean | undefined): number | undefined {
  if (value === undefined) return undefined;
  return Math.round(1_000 * number(name, value, 0, LEAST_SECONDS, SECONDS_MAX));
}

function file(name: string, value: string | boolean | undefined): string | undefined {
  if (value === "") throw new UsageError(`${name} is empty`);
  return typeof value === "string" ? value : undefined;
}

function integer(name: string, value: string | boolean | undefined, byDefault: number, least: number, most: number) {
  const given = number(name, value, byDefault, least, most);
  if (!Number.isInteger(given)) throw new UsageError(`${name} ${given}: a whole number`);
  return given;
}
