/** The option `forward` of a ServerSupervisor: how connections reach the server that has their session. */
import { isAbsolute } from "node:path";
import { createSecureContext, type SecureContextOptions } from "node:tls";
import { isTlsOptions, tlsRefusal, whatIsGiven } from "../../io/tls-options.ts";
import { checkNames, group, integer, payload, text } from "../../link/check.ts";
import { invalidOption } from "../../link/errors.ts";
import { MOST_SOCKET_PATH_BYTES } from "../../io/unix-socket.ts";
import { socketPath } from "./folder.ts";

/** Between processes of one machine (`dir`), or also between hosts (`registry`). All servers have the same. */
export type ForwardOptions = ForwardInFolder | ForwardBetweenHosts;

/** Between processes of one machine. */
export interface ForwardInFolder {
  /**
   * An absolute path: a folder for the Unix sockets of the servers, made if it is absent. Nobody but this user may use
   * it: otherwise listen() rejects. With the names of the sockets, 18 bytes, its path has at most 107 bytes.
   */
  dir: string;
}

/** Between hosts. */
export interface ForwardBetweenHosts {
  /** Where the servers find each other. */
  registry: ForwardRegistry;
  /** Where this server takes connections of the others. `port` 0: any free one, which is announced. */
  listen: ForwardAddress;
  /** What is announced where it differs from `listen`: a `host` of 0.0.0.0 or :: can be dialled by nobody. */
  announce?: Partial<ForwardAddress>;
  /**
   * Encrypts, and lets only servers in that have a certificate of `ca`. `servername`: the name that each server's
   * certificate has; without it a server is dialled by the name that it has announced, and may have any name when it
   * dials. Danger without it: where clients have certificates of the same `ca`, they can pass for servers.
   */
  tls?: SecureContextOptions & { servername?: string };
  /**
   * Instead of `tls`: 32 bytes or more that all servers share, to recognize each other by. Danger: nothing is encrypted,
   * so it is for networks in which nobody else can read or write.
   */
  key?: string | Uint8Array;
}

/** Where a server takes the connections of the others. */
export interface ForwardAddress {
  /** An IP address or a name. */
  host: string;
  /** The TCP port. */
  port: number;
}

/**
 * Where the servers of all hosts are, in a store that all of them can reach. Each call may take 2 s; then its signal is
 * aborted.
 */
export interface ForwardRegistry {
  /**
   * Called by listen(), which rejects if this does, and then every 10 s, so that the entry of a server that has died can
   * expire: after 30 s, for example.
   */
  announce(serverId: string, address: ForwardAddress, options: { signal: AbortSignal }): void | Promise<void>;
  /**
   * undefined, or null: there is no such server any more. Its sessions are lost then, so where it is not known whether
   * there is, this must throw: the client comes back later.
   */
  find(
    serverId: string,
    options: { signal: AbortSignal },
  ): ForwardAddress | null | undefined | Promise<ForwardAddress | null | undefined>;
  /** Called by close(), last. */
  withdraw(serverId: string, options: { signal: AbortSignal }): void | Promise<void>;
}

export type ResolvedForward =
  | { dir: string }
  | {
      registry: ForwardRegistry;
      listen: ForwardAddress;
      announce: Partial<ForwardAddress>;
      tls: NonNullable<ForwardBetweenHosts["tls"]> | undefined;
      key: Buffer | undefined;
    };

const LEAST_KEY_BYTES = 32;
const MOST_KEY_BYTES = 1_024;
const MOST_HOST_LENGTH = 255;
const FUNCTIONS = ["announce", "find", "withdraw"] as const;
const ALL_ADDRESSES: ReadonlySet<string> = new Set(["0.0.0.0", "::"]);

export function resolveForward(given: unknown): ResolvedForward {
  if (typeof given !== "object" || given === null)
    throw invalidOption("forward", given, "an object with dir, or registry");
  if ("dir" in given === "registry" in given) throw invalidOption("forward", given, "an object with dir, or registry");
  return "dir" in given ? inFolder(given) : betweenHosts(given as ForwardBetweenHosts);
}

function inFolder(given: object): ResolvedForward {
  checkNames(given, ["dir"], "forward.");
  const dir = text("forward.dir", (given as ForwardInFolder).dir);
  if (!isAbsolute(dir)) throw invalidOption("forward.dir", dir, "an absolute path");
  const bytes = Buffer.byteLength(socketPath(dir, "0".repeat(12)));
  if (bytes > MOST_SOCKET_PATH_BYTES)
    throw invalidOption(
      "forward.dir",
      dir,
      `${dir.length - bytes + MOST_SOCKET_PATH_BYTES} bytes here: a socket's path has at most ${MOST_SOCKET_PATH_BYTES}`,
    );
  return { dir };
}

function betweenHosts(given: ForwardBetweenHosts): ResolvedForward {
  checkNames(given, ["registry", "listen", "announce", "tls", "key"], "forward.");
  const { registry, key } = given;
  const listen = group("forward.listen", given.listen, ["host", "port"]);
  const announce = group("forward.announce", given.announce, ["host", "port"]);
  const host = text("forward.listen.host", listen.host);
  const port = integer("forward.listen.port", listen.port, 0, 65_535);
  if (announce.host !== undefined) text("forward.announce.host", announce.host);
  else if (ALL_ADDRESSES.has(host))
    throw invalidOption(
      "forward.announce.host",
      undefined,
      `an address that others can dial, as forward.listen.host is ${host}`,
    );
  if (announce.port !== undefined) integer("forward.announce.port", announce.port, 1, 65_535);
  if (!isRegistry(registry))
    throw invalidOption("forward.registry", registry, `an object with ${FUNCTIONS.join(", ")}`);
  if ("tls" in given === "key" in given)
    throw invalidOption("forward", given, "either tls or key: else anybody who can connect takes links over");
  return {
    registry,
    listen: { host, port },
    announce,
    tls: "tls" in given ? mutualTls(given.tls) : undefined,
    key: "key" in given ? sharedKey(key) : undefined,
  };
}

function isRegistry(given: unknown): given is ForwardRegistry {
  if (typeof given !== "object" || given === null) return false;
  return FUNCTIONS.every((name) => typeof (given as Partial<ForwardRegistry>)[name] === "function");
}

/** Both ends show a certificate. Without a `ca` of its own a server would let in whoever has a public certificate. */
function mutualTls(given: unknown): NonNullable<ForwardBetweenHosts["tls"]> {
  const wanted = "ca, and cert with key, or pfx: both ends show a certificate";
  if (!isTlsOptions(given)) throw invalidOption("forward.tls", given, wanted);
  const tls = whatIsGiven(given) as NonNullable<ForwardBetweenHosts["tls"]>;
  const hasCertificate = tls.pfx !== undefined || (tls.cert !== undefined && tls.key !== undefined);
  if (tls.ca === undefined || !hasCertificate) throw invalidOption("forward.tls", given, wanted);
  if (tls.servername !== undefined) text("forward.tls.servername", tls.servername);
  try {
    createSecureContext(tls);
  } catch (error) {
    throw invalidOption("forward.tls", given, `what tls.createSecureContext() takes: ${tlsRefusal(error)}`);
  }
  return tls;
}

function sharedKey(given: unknown): Buffer {
  const key = payload("forward.key", given, MOST_KEY_BYTES);
  if (key.length < LEAST_KEY_BYTES) throw invalidOption("forward.key", given, `at least ${LEAST_KEY_BYTES} bytes`);
  return key;
}

/** What a registry's find() answers may be anything. */
export function isAddress(given: unknown): given is ForwardAddress {
  if (typeof given !== "object" || given === null) return false;
  const { host, port } = given as Partial<Record<"host" | "port", unknown>>;
  const hasHost = typeof host === "string" && host !== "" && host.length <= MOST_HOST_LENGTH;
  return hasHost && typeof port === "number" && Number.isInteger(port) && port >= 1 && port <= 65_535;
}
