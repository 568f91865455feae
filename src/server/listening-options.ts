/** The options of a server that have nothing to do with its protocol: where it listens, TLS, telemetry. */
import { createSecureContext, type TlsOptions } from "node:tls";
import type { AddressList } from "../io/address-list.ts";
import { type Machine, readMachine } from "../io/machine.ts";
import { isTlsOptions, tlsRefusal } from "../io/tls-options.ts";
import { boolean, group, integer, logger, MOST_MS, text } from "../link/check.ts";
import { invalidOption, invalidWord } from "../link/errors.ts";
import type { ContainedLogger, Logger } from "../telemetry/logger.ts";
import { NOT_OF_LINKS, type ResolvedResources, type Resources, resolveResources } from "./resource-options.ts";
import { Access, type AccessOptions, addressList } from "./access.ts";

export interface ListeningOptions extends AccessOptions {
  /** 0: any free port; listen() answers which. Without `port` and `path` the server has only what accept() is given. */
  port?: number;
  /** Default: every address, as in net. */
  host?: string;
  /** A Unix socket's path, instead of `port` and `host`. */
  path?: string;
  /** Default false. Danger: without TLS, anybody who can listen on the path can read everything and take links over. */
  tls?: TlsOptions | false;
  /**
   * A balancer stands in front, and begins each connection with a header of the PROXY protocol, version 1 or 2, before
   * any TLS. The address that it names is the client's, for `allow` and `deny`, limits, logs and `authenticate`.
   * Default: no headers.
   */
  proxyProtocol?: ProxyProtocolOptions;
  /** Which resources of the process are watched for overload, and their thresholds. Default: all, docs/overload.md. */
  resources?: Resources;
  /** Default false. true: overload is sampled and reported as usual, and nothing is done against it. */
  dryRun?: boolean;
  logger?: Logger;
  /** Metrics line to the logger. Default 60,000; 0: never. */
  metricsIntervalMs?: number;
}

export interface ProxyProtocolOptions {
  /**
   * The addresses and networks of the balancers, as in `allow`; `"unix"` for those that come by `path`. Connections
   * from elsewhere are closed. Danger: who is in here can name any address as that of its clients.
   */
  from: readonly string[];
}

export interface ResolvedListening {
  /** Undefined: nowhere. */
  listen: { port: number; host?: string } | { path: string } | undefined;
  tls: TlsOptions | false;
  access: Access;
  /** Undefined: connections begin without a PROXY header. */
  proxies: AddressList | undefined;
  logger: ContainedLogger | undefined;
  metricsIntervalMs: number;
  resources: ResolvedResources;
  dryRun: boolean;
  machine: Machine;
}

export const LISTENING_OPTION_NAMES = [
  "port",
  "host",
  "path",
  "tls",
  "proxyProtocol",
  "allow",
  "deny",
  "resources",
  "dryRun",
  "logger",
  "metricsIntervalMs",
] as const;

export function resolveListening(options: ListeningOptions, machine: Machine = readMachine()): ResolvedListening {
  const listen = whereToListen(options);
  return {
    listen,
    tls: resolveTls(options),
    access: new Access(options),
    proxies: resolveProxies(options, listen),
    logger: logger(options.logger),
    metricsIntervalMs: integer("metricsIntervalMs", options.metricsIntervalMs ?? 60_000, 0, MOST_MS),
    resources: resolveResources(options.resources, NOT_OF_LINKS),
    dryRun: boolean("dryRun", options.dryRun ?? false),
    machine,
  };
}

/** `tls` left out is off. Given as undefined (by an import that failed, say), it was meant to be on. */
function resolveTls(options: ListeningOptions): TlsOptions | false {
  if (!("tls" in options) || options.tls === false) return false;
  const { tls } = options;
  if (!isTlsOptions(tls)) throw invalidOption("tls", tls, "options of tls.createServer(), or false");
  try {
    createSecureContext(tls);
  } catch (error) {
    throw invalidOption("tls", tls, `what tls.createServer() takes: ${tlsRefusal(error)}`);
  }
  return tls;
}

/** Left out it is off. Given as undefined, it was meant to be on. */
function resolveProxies(options: ListeningOptions, listen: ResolvedListening["listen"]): AddressList | undefined {
  if (!("proxyProtocol" in options)) return undefined;
  const { proxyProtocol } = options;
  if (proxyProtocol === undefined) throw invalidOption("proxyProtocol", proxyProtocol, "{ from }");
  const { from } = group("proxyProtocol", proxyProtocol, ["from"]);
  const proxies = addressList("proxyProtocol.from", from, 1);
  if (listen === undefined)
    throw invalidOption("proxyProtocol", proxyProtocol, "nothing without port and path: accept() is told the address");
  const [isThere, needed] =
    "path" in listen ? [proxies.kinds.unix, '"unix", for a path'] : [proxies.kinds.ip, "an address, for a port"];
  if (!isThere) throw invalidOption("proxyProtocol.from", from, `a list with ${needed}: nobody could connect`);
  return proxies;
}

function whereToListen(options: ListeningOptions): ResolvedListening["listen"] {
  const { port, host, path } = options;
  if (path !== undefined) {
    if (port !== undefined) throw invalidWord("path", path, "either path or port");
    if (host !== undefined) throw invalidWord("host", host, "nothing: a path has no host");
    return { path: text("path", path) };
  }
  // A port that is named and undefined (an environment without it, say) was meant to be one.
  if (host === undefined && !("port" in options)) return undefined;
  const checked = integer("port", port, 0, 65_535);
  return host === undefined ? { port: checked } : { port: checked, host: text("host", host) };
}
