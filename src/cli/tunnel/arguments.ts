/** Parses and checks the command line of `resplice tunnel`. */
import type { ParseArgsOptionsConfig } from "node:util";
import { AllowList } from "../../tunnel/allow.ts";
import { balancers } from "../../tunnel/client-ends.ts";
import type { ProxyVersion } from "../../tunnel/proxy-header.ts";
import { formatTarget } from "../../tunnel/target.ts";
import { formatAddress, parseAddress } from "../address.ts";
import type { TlsFiles } from "../files.ts";
import { didYouMean, HELP_OPTION, integer, milliseconds, parse, text, UsageError, type Values } from "../usage.ts";
import { type Config, readConfig, textIn } from "./config.ts";
import { formatPlace, isLocal, isLoopback, LOOPBACK, parsePlace, usable } from "./places.ts";
import { fromCommandLine, NAME, NAME_RULE, targetCalled, tunnelsIn } from "./tunnels.ts";
import type {
  CheckArguments,
  CommonArguments,
  FarArguments,
  NearArguments,
  SecretSource,
  TunnelCommand,
} from "./types.ts";

const COMMANDS = ["far", "near", "check"] as const;
const STRING = { type: "string" } as const;
const FLAG = { type: "boolean" } as const;
const LIST = { type: "string", multiple: true } as const;
const TLS_OPTIONS = { "tls-cert": STRING, "tls-key": STRING, "tls-ca": STRING, insecure: FLAG } as const;
const COMMON_OPTIONS = {
  ...TLS_OPTIONS,
  survive: STRING,
  "max-connections": STRING,
  drain: STRING,
  name: STRING,
  json: FLAG,
  verbose: FLAG,
  metrics: STRING,
  config: STRING,
} as const;
const CLIENT_OPTIONS = { "token-file": STRING, tls: FLAG, servername: STRING } as const;
const OPTIONS: Record<(typeof COMMANDS)[number], ParseArgsOptionsConfig> = {
  far: {
    allow: LIST,
    tokens: STRING,
    "max-connections-each": STRING,
    ...COMMON_OPTIONS,
    "send-proxy": STRING,
    ...HELP_OPTION,
  },
  near: { to: LIST, ...CLIENT_OPTIONS, ...COMMON_OPTIONS, "accept-proxy": STRING, ...HELP_OPTION },
  check: { ...CLIENT_OPTIONS, ...TLS_OPTIONS, within: STRING, config: STRING, ...HELP_OPTION },
};
/** In the file of a near end the targets may be objects, so they are no option there. */
const { to: _to, ...NEAR_FILE_OPTIONS } = OPTIONS.near;

const DEFAULT_SURVIVE_MS = 300_000;
const DEFAULT_DRAIN_MS = 10_000;
const DEFAULT_WITHIN_MS = 10_000;
const MOST_CONNECTIONS = 1_000_000;

type Environment = Readonly<Record<string, string | undefined>>;

/** `args`: what stands behind `tunnel`. @throws UsageError */
export function parseTunnel(args: readonly string[], environment: Environment = process.env): TunnelCommand {
  const [name, ...rest] = args;
  switch (name) {
    case "help":
    case "--help":
    case "-h":
      return { name: "tunnel-help" };
    case "far":
    case "near":
    case "check":
      break;
    default: {
      const which = name === undefined ? "tunnel needs a command" : `unknown command tunnel ${JSON.stringify(name)}`;
      throw new UsageError(`${which}${didYouMean(name ?? "", COMMANDS, "")}: one of ${COMMANDS.join(", ")}`);
    }
  }
  const { values, positionals } = parse(`tunnel ${name}`, rest, OPTIONS[name], name === "far" ? 1 : 2);
  if (values["help"] === true) return { name: "tunnel-help" };
  if (name === "far") {
    const again = (): FarArguments => parseFar(values, positionals, environment);
    return { name: "tunnel-far", options: again(), again };
  }
  if (name === "near") {
    const again = (): NearArguments => parseNear(values, positionals, environment);
    return { name: "tunnel-near", options: again(), again };
  }
  return { name: "tunnel-check", options: parseCheck(values, positionals, environment) };
}

// ── far ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

function parseFar(given: Values, [where]: string[], environment: Environment): FarArguments {
  const config = configOf(given, OPTIONS.far, ["listen"]);
  const values = { ...config.values, ...given };
  const place = where ?? textIn(config, "listen");
  if (place === undefined) throw new UsageError("listen where? For example: tunnel far 7000 --allow localhost:5432");
  const allow = values["allow"];
  if (!Array.isArray(allow) || allow.length === 0) {
    throw new UsageError("--allow is needed: nothing is allowed by default. For example: --allow localhost:5432");
  }
  const listen = parsePlace(place);
  if ("path" in listen) throw new UsageError("a far end listens at a port, or at a descriptor");
  const tls = tlsOf("far", values);
  const tokens = secret(text("--tokens", values["tokens"]), "RESPLICE_TOKENS", environment);
  const notes: string[] = [];
  if (!isLocal(listen)) {
    const asks = tokens !== undefined || tls?.ca !== undefined;
    const missing = [
      ...(tls === undefined ? ["TLS (--tls-cert, --tls-key)"] : []),
      ...(asks ? [] : ["tokens (--tokens, RESPLICE_TOKENS) or certificates of clients (--tls-ca)"]),
    ];
    unlessInsecure(values, notes, missing, `listens at ${formatPlace(listen)}, which others can reach,`);
  }
  return {
    ...commonOf(values, tls, notes),
    listen,
    allow: usable(() => new AllowList(allow)),
    tokens,
    maxConnectionsEach: connectionsOf("max-connections-each", values),
    sendProxy: proxyVersion(text("--send-proxy", values["send-proxy"])),
  };
}

function proxyVersion(given: string | undefined): ProxyVersion | undefined {
  if (given === undefined) return undefined;
  if (given === "v1" || given === "v2") return given === "v1" ? 1 : 2;
  throw new UsageError(`--send-proxy ${JSON.stringify(given)}: v1 or v2`);
}

// ── near ────────────────────────────────────────────────────────────────────────────────────────────────────────────

function parseNear(given: Values, positionals: string[], environment: Environment): NearArguments {
  const config = configOf(given, NEAR_FILE_OPTIONS, ["far", "to"]);
  const values = { ...config.values, ...given };
  const [listen, far = textIn(config, "far")] = positionals.length === 2 ? positionals : [undefined, ...positionals];
  if (far === undefined) {
    throw new UsageError("which far end? For example: tunnel near 5432 far.example:7000 --to localhost:5432");
  }
  const to = given["to"];
  const tunnels = Array.isArray(to) ? fromCommandLine(listen, to) : listen === undefined ? tunnelsIn(config) : [];
  if (tunnels.length === 0) {
    throw new UsageError("--to is needed. For example: tunnel near 5432 far.example:7000 --to localhost:5432");
  }
  const connection = connectionOf(far, values, environment);
  // Who can connect to a descriptor says whoever has opened it.
  const open = tunnels.filter(({ listen: at }) => !isLocal(at) && !("fd" in at));
  const exposed = open.map(
    (tunnel) => `whoever can connect to ${formatPlace(tunnel.listen)} reaches ${formatTarget(tunnel.target)}`,
  );
  return {
    ...commonOf(values, connection.tls, [...connection.notes, ...exposed]),
    far: connection.far,
    tunnels,
    token: connection.token,
    acceptProxy: networks(text("--accept-proxy", values["accept-proxy"])),
  };
}

function networks(given: string | undefined): readonly string[] | undefined {
  const entries = given?.split(",");
  if (entries !== undefined) usable(() => balancers(entries));
  return entries;
}

// ── check ───────────────────────────────────────────────────────────────────────────────────────────────────────────

function parseCheck(given: Values, [what, where]: string[], environment: Environment): CheckArguments {
  const config = configOf(given, NEAR_FILE_OPTIONS, ["far", "to"]);
  const values = { ...config.values, ...given };
  if (what === undefined) throw new UsageError("check what? For example: tunnel check localhost:5432 far.example:7000");
  const far = where ?? textIn(config, "far");
  if (far === undefined)
    throw new UsageError("through which far end? For example: tunnel check localhost:5432 far.example:7000");
  const { tls, token, ...to } = connectionOf(far, values, environment);
  return {
    far: to.far,
    tls,
    token,
    target: targetCalled(what, config),
    withinMs: milliseconds("--within", given["within"]) ?? DEFAULT_WITHIN_MS,
  };
}

// ── of both ends ────────────────────────────────────────────────────────────────────────────────────────────────────

function configOf(given: Values, options: ParseArgsOptionsConfig, more: readonly string[]): Config {
  const path = text("--config", given["config"]);
  return path === undefined ? { path: "", values: {}, more: {} } : readConfig(path, options, more);
}

function commonOf(values: Values, tls: TlsFiles | undefined, notes: readonly string[]): CommonArguments {
  const name = text("--name", values["name"]);
  if (name !== undefined && !NAME.test(name)) throw new UsageError(`--name: ${NAME_RULE}`);
  const metrics = text("--metrics", values["metrics"]);
  const at = metrics === undefined ? undefined : parseAddress(metrics, 0);
  return {
    tls,
    surviveMs: milliseconds("--survive", values["survive"]) ?? DEFAULT_SURVIVE_MS,
    maxConnections: connectionsOf("max-connections", values),
    drainMs: milliseconds("--drain", values["drain"], 0) ?? DEFAULT_DRAIN_MS,
    name,
    json: values["json"] === true,
    verbose: values["verbose"] === true,
    metrics: at && { host: at.host ?? LOOPBACK, port: at.port },
    notes,
  };
}

function connectionsOf(name: "max-connections" | "max-connections-each", values: Values): number | undefined {
  const given = values[name];
  return given === undefined ? undefined : integer(`--${name}`, given, 0, 1, MOST_CONNECTIONS);
}

/** How a far end is reached. */
function connectionOf(
  where: string,
  values: Values,
  environment: Environment,
): Pick<NearArguments, "far" | "tls" | "token" | "notes"> {
  const { host = "localhost", port } = parseAddress(where, 1);
  const tls = tlsOf("near", values);
  const notes: string[] = [];
  if (!isLoopback(host) && tls === undefined) {
    unlessInsecure(
      values,
      notes,
      ["TLS (--tls, --tls-ca)"],
      `goes to ${formatAddress({ host, port })} over the network`,
    );
  }
  return {
    far: { host, port },
    tls,
    token: secret(text("--token-file", values["token-file"]), "RESPLICE_TOKEN", environment),
    notes,
  };
}

/** A file is enough to turn TLS on: nothing goes out in clear text because --tls was forgotten. */
function tlsOf(end: "far" | "near", values: Values): TlsFiles | undefined {
  const [cert, key, ca, servername] = (["tls-cert", "tls-key", "tls-ca", "servername"] as const).map((name) =>
    text(`--${name}`, values[name]),
  );
  if ((cert === undefined) !== (key === undefined)) {
    throw new UsageError("--tls-cert and --tls-key belong together: the files of a certificate and of its private key");
  }
  if (end === "far" && ca !== undefined && cert === undefined) {
    throw new UsageError(
      "a far end takes --tls-ca, which asks clients for certificates, with --tls-cert and --tls-key only",
    );
  }
  const isOn = values["tls"] === true || [cert, ca, servername].some((given) => given !== undefined);
  return isOn ? { cert, key, ca, servername } : undefined;
}

/** A file that is named goes before the variable. */
function secret(
  file: string | undefined,
  variable: "RESPLICE_TOKEN" | "RESPLICE_TOKENS",
  environment: Environment,
): SecretSource | undefined {
  if (file !== undefined) return { file };
  return (environment[variable] ?? "") === "" ? undefined : { variable };
}

function unlessInsecure(values: Values, notes: string[], missing: readonly string[], what: string): void {
  if (missing.length === 0) return;
  const without = `this end ${what} without ${missing.join(" and without ")}`;
  if (values["insecure"] !== true) throw new UsageError(`${without}. --insecure allows that`);
  notes.push(`${without}, as --insecure allows`);
}
