/** The options of a server that have nothing to do with its protocol: where it listens, TLS, telemetry. */
import type { TlsOptions } from "node:tls";
import type { AddressList } from "../io/address-list.ts";
import { type Machine, readMachine } from "../io/machine.ts";
import { hasCertificate, isTlsOptions, tlsProblem } from "../io/tls-options.ts";
import { boolean, group, integer, logger, MOST_MS } from "../link/check.ts";
import { invalidOption } from "../link/errors.ts";
import type { ContainedLogger, Logger } from "../telemetry/logger.ts";
import { Access, type AccessOptions, addressList } from "./access.ts";
import { type ListenAddress, resolveAddresses, resolveShort } from "./listening/places.ts";
import { NOT_OF_LINKS, type ResolvedResources, type Resources, resolveResources } from "./resource-options.ts";

/** Where a server listens, and how it looks after itself. */
export interface ListeningOptions extends AccessOptions {
  /**
   * 0: any free port; listen() answers which. Without `port`, `path` and `addresses` the server has only what accept()
   * is given.
   */
  port?: number;
  /** Default: every address, as in net. */
  host?: string;
  /** A Unix socket's path, instead of `port` and `host`. */
  path?: string;
  /** Where the server listens, in several places or with more options, instead of `port`, `host` and `path`. */
  addresses?: readonly ListenAddress[];
  /**
   * Between two checks whether the server accepts at each address at which nobody has connected meanwhile: it dials
   * itself. Default 10,000; 0: never.
   */
  selfProbeMs?: number;
  /**
   * Default false. Options need a certificate: `key` and `cert`, `pfx`, or an `SNICallback`. Danger: without TLS, anybody
   * who can listen on the path can read everything and take links over.
   */
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
  /** pino, console, or any object with the same methods. Default none, which costs nothing. */
  logger?: Logger;
  /** Metrics line to the logger. Default 60,000; 0: never. */
  metricsIntervalMs?: number;
}

/** Which balancers are believed when they say who a client is. */
export interface ProxyProtocolOptions {
  /**
   * The addresses and networks of the balancers, as in `allow`; `"unix"` for those that come by `path`. Connections
   * from elsewhere are closed. Danger: who is in here can name any address as that of its clients.
   */
  from: readonly string[];
}

export interface ResolvedListening {
  /** Undefined: nowhere. */
  listen: readonly ListenAddress[] | undefined;
  selfProbeMs: number;
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
  "addresses",
  "selfProbeMs",
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
    selfProbeMs: integer("selfProbeMs", options.selfProbeMs ?? 10_000, 0, MOST_MS),
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
  const wrong = tlsProblem("tls", tls);
  if (wrong !== undefined) throw invalidOption(...wrong);
  // The first of these two brings a certificate, and with the other there is none.
  if (!hasCertificate(tls) && tls.SNICallback === undefined && tls.pskCallback === undefined)
    throw invalidOption("tls", tls, "an object with key and cert, or pfx: no client can connect without a certificate");
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
    throw invalidOption(
      "proxyProtocol",
      proxyProtocol,
      "nothing without port, path and addresses: accept() is told the address",
    );
  if (!proxies.kinds.unix && listen.some((address) => "path" in address))
    throw invalidOption("proxyProtocol.from", from, 'a list with "unix", for a path: nobody could connect');
  if (!proxies.kinds.ip && listen.some((address) => "port" in address))
    throw invalidOption("proxyProtocol.from", from, "a list with an address, for a port: nobody could connect");
  return proxies;
}

function whereToListen(options: ListeningOptions): ResolvedListening["listen"] {
  if (!("addresses" in options)) {
    const short = resolveShort(options);
    return short && [short];
  }
  for (const name of ["port", "host", "path"] as const) {
    if (options[name] !== undefined) throw invalidOption(name, options[name], "nothing beside addresses");
  }
  return resolveAddresses(options.addresses);
}
