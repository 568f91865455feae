/** Parses and checks the command line. */
import { randomInt } from "node:crypto";
import type { ParseArgsOptionsConfig } from "node:util";
import { type Address, parseAddress } from "./address.ts";
import type { TlsFiles } from "./files.ts";
import { parseTunnel } from "./tunnel/arguments.ts";
import type { TunnelCommand } from "./tunnel/types.ts";
import {
  HELP_OPTION,
  integer,
  milliseconds,
  number,
  parse,
  SECONDS_MAX,
  text,
  UsageError,
  type Values,
} from "./usage.ts";

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

export interface ChaosArguments {
  readonly seconds: number;
  /** Undefined: the faults are drawn from `seed`. */
  readonly schedule: string | undefined;
  readonly seed: number;
  readonly toxiproxy: boolean;
  /** Connections go on to this server, and the traffic is its clients'. Undefined: both ends are ours. */
  readonly to: Address | undefined;
  /** With `to`: where its clients connect to on this machine. 0: any free port. */
  readonly listenPort: number;
  /** Files to write. */
  readonly report: string | undefined;
  readonly junit: string | undefined;
  readonly json: boolean;
  readonly verbose: boolean;
}

export type Command =
  | { readonly name: "help" | "version" }
  | { readonly name: "listen" | "connect"; readonly options: PipeArguments }
  | { readonly name: "demo"; readonly options: DemoArguments }
  | { readonly name: "chaos"; readonly options: ChaosArguments }
  | TunnelCommand
  /** The two processes of the demo, which the demo starts itself. */
  | { readonly name: "demo-sender" | "demo-receiver"; readonly verbose: boolean; readonly page: boolean };

const COMMANDS = ["listen", "connect", "tunnel", "chaos", "demo"] as const;
const SHARED_OPTIONS: ParseArgsOptionsConfig = {
  progress: { type: "boolean" },
  verbose: { type: "boolean" },
  cert: { type: "string" },
  key: { type: "string" },
  ca: { type: "string" },
  "token-file": { type: "string" },
};
const PIPE_OPTIONS: Record<"listen" | "connect", ParseArgsOptionsConfig> = {
  listen: { ...SHARED_OPTIONS, "resume-for": { type: "string" }, ...HELP_OPTION },
  connect: {
    ...SHARED_OPTIONS,
    "give-up": { type: "string" },
    tls: { type: "boolean" },
    servername: { type: "string" },
    ...HELP_OPTION,
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
  ...HELP_OPTION,
};
const CHAOS_OPTIONS: ParseArgsOptionsConfig = {
  seconds: { type: "string" },
  seed: { type: "string" },
  schedule: { type: "string" },
  to: { type: "string" },
  listen: { type: "string" },
  toxiproxy: { type: "boolean" },
  report: { type: "string" },
  junit: { type: "string" },
  json: { type: "boolean" },
  verbose: { type: "boolean" },
  ...HELP_OPTION,
};
const SEED_MAX = 2 ** 32 - 1;
const MESSAGES_MAX = 100_000_000;
/** The highest rate that the demo's sender promises. */
const MESSAGES_PER_SECOND_MAX = 20_000;
const DEFAULT_SECONDS = 10;
/** Long enough for some faults of each kind. */
const DEFAULT_SECONDS_OF_CHAOS = 60;
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
    case "tunnel":
      return parseTunnel(rest);
    case "demo":
      return parseDemo(rest);
    case "chaos":
      return parseChaos(rest);
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
      tokenFile: text("--token-file", values["token-file"]),
    },
  };
}

/** A file is enough to turn TLS on: nothing goes out in clear text because --tls was forgotten. */
function parseTls(command: "listen" | "connect", values: Values): TlsFiles | undefined {
  const [cert, key, ca, servername] = (["cert", "key", "ca", "servername"] as const).map((name) =>
    text(`--${name}`, values[name]),
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
  return {
    name: "demo",
    options: {
      messages,
      seconds,
      seed: seedOf(values),
      toxiproxy: values["toxiproxy"] === true,
      json: values["json"] === true,
      verbose: values["verbose"] === true,
      page,
    },
  };
}

function parseChaos(args: string[]): Command {
  const { values } = parse("chaos", args, CHAOS_OPTIONS, 0);
  if (values["help"] === true) return { name: "help" };
  const schedule = text("--schedule", values["schedule"]);
  if (schedule !== undefined && values["seed"] !== undefined) {
    throw new UsageError("--seed draws the faults that --schedule lists: give one of them");
  }
  const to = text("--to", values["to"]);
  if (to === undefined && values["listen"] !== undefined) {
    throw new UsageError("--listen is where clients of the server of --to connect to: both, or neither");
  }
  if (to !== undefined && values["verbose"] === true) {
    throw new UsageError("--verbose logs what our own two ends do, and with --to there are none");
  }
  const server = to === undefined ? undefined : parseAddress(to, 1);
  const listenPort = integer("--listen", values["listen"], 0, 1, 65_535);
  if (server?.port === listenPort && [undefined, "localhost", "127.0.0.1"].includes(server.host)) {
    throw new UsageError("--listen: there is the server of --to, and clients need another port");
  }
  return {
    name: "chaos",
    options: {
      seconds: number("--seconds", values["seconds"], DEFAULT_SECONDS_OF_CHAOS, 1, SECONDS_MAX),
      schedule,
      seed: seedOf(values),
      to: server,
      listenPort,
      toxiproxy: values["toxiproxy"] === true,
      report: text("--report", values["report"]),
      junit: text("--junit", values["junit"]),
      json: values["json"] === true,
      verbose: values["verbose"] === true,
    },
  };
}

function seedOf(values: Values): number {
  return integer("--seed", values["seed"], randomInt(SEED_MAX + 1), 0, SEED_MAX);
}
