/**
 * Which targets the clients of a far end may reach. What counts is the address that is dialled, and not the name by which
 * a client asks for it: a name that its owner makes point at another machine opens nothing.
 */
import { isIP } from "node:net";
import { AddressList, unmapped } from "../io/address-list.ts";
import { connectable, hostAndPort, isNowhere, portIn, socketPathIn, UNIX_PREFIX, unusable } from "./target.ts";

/** All addresses of a name. It rejects when the name has none, and when the answer takes too long. */
export type LookUp = (name: string) => Promise<readonly string[]>;

/**
 * `addresses`: these may be dialled. `unknown-host`: a name that is in the list, and could not be looked up. `why` is for
 * the log of the far end: it says what the list does not have, and how a lookup failed.
 */
export type Ruling =
  | { readonly addresses: readonly string[] }
  | { readonly refused: "not-allowed" | "unknown-host"; readonly why: string };

interface Entry {
  /** Undefined: for everyone. */
  readonly identity: string | undefined;
  /** Undefined: the entry is the path of a Unix socket. */
  readonly ports: { readonly least: number; readonly most: number } | undefined;
  /** Empty where the entry is no address or network. */
  readonly addresses: AddressList;
  /** "" where it is no name. */
  readonly name: string;
  /** "" where it is no path. */
  readonly path: string;
}

/** Each of them is looked at for each connection. */
const MOST_ENTRIES = 1_000;

export class AllowList {
  readonly #entries: readonly Entry[];

  /**
   * `entries`: `[IDENTITY=]HOST:PORT` or `[IDENTITY=]unix:PATH`. HOST is a name, an address or a network (`10.0.0.0/8`,
   * `[fd00::/8]`), PORT a number or a range (`8000-8999`). Without an identity the entry is for everyone. Nothing else is
   * allowed. Throws INVALID_ARGUMENT, which names the entry.
   */
  constructor(entries: readonly string[]) {
    if (entries.length > MOST_ENTRIES) {
      throw unusable(`${entries.length} entries`, `an allow-list has at most ${MOST_ENTRIES}`);
    }
    this.#entries = entries.map((entry) => parseEntry(entry));
  }

  /** Of a Unix socket's path, as parseTarget() answers it. */
  allowsPath(path: string, identity: string | undefined): boolean {
    return this.#entries.some((entry) => isFor(entry, identity) && entry.ports === undefined && entry.path === path);
  }

  /**
   * Which addresses of a host may be dialled at a port. A host is not looked up where nothing is allowed at that port.
   * Names of the list are looked up only if no other entry allows an address of the host. Never rejects.
   */
  async rule(host: string, port: number, identity: string | undefined, lookUp: LookUp): Promise<Ruling> {
    const entries = this.#entries.filter(({ ports, ...entry }) => {
      return isFor(entry, identity) && ports !== undefined && port >= ports.least && port <= ports.most;
    });
    if (entries.length === 0) return notAllowed("no entry of the allow-list is for this port and this client");
    const isNamed = entries.some(({ name }) => name === host);
    let found: readonly string[];
    try {
      found = isIP(host) === 0 ? await lookUp(host) : [host];
    } catch (error) {
      const why = `its name could not be looked up: ${(error as Error).message}`;
      // Of a name that nobody has allowed a client must not learn whether it exists.
      return isNamed ? { refused: "unknown-host", why } : notAllowed(why);
    }
    const dialled = [...new Set(found.map(unmapped))].filter((address) => !isNowhere(address));
    const [allowed, unresolved] = isNamed ? [dialled, []] : await allowedOf(dialled, entries, lookUp);
    if (allowed.length > 0) return { addresses: allowed };
    const also = unresolved.length === 0 ? "" : `; names of the list that could not be looked up: ${some(unresolved)}`;
    return notAllowed(`no entry of the allow-list for this port and this client has ${some(found)}${also}`);
  }
}

function notAllowed(why: string): Ruling {
  return { refused: "not-allowed", why };
}

function isFor(entry: Pick<Entry, "identity">, identity: string | undefined): boolean {
  return entry.identity === undefined || entry.identity === identity;
}

/** The addresses that an entry has; and the names of entries that could not be looked up. */
async function allowedOf(
  addresses: readonly string[],
  entries: readonly Entry[],
  lookUp: LookUp,
): Promise<[allowed: readonly string[], unresolved: readonly string[]]> {
  const allowed = addresses.filter((address) => entries.some((entry) => entry.addresses.has(address) === true));
  if (allowed.length > 0) return [allowed, []];
  const names = [...new Set(entries.map(({ name }) => name))].filter((name) => name !== "");
  return amongThoseOf(names, addresses, lookUp);
}

/** A name that is slow to answer keeps nobody waiting once all of the addresses are found. */
function amongThoseOf(
  names: readonly string[],
  addresses: readonly string[],
  lookUp: LookUp,
): Promise<[allowed: readonly string[], unresolved: readonly string[]]> {
  const found = new Set<string>();
  const unresolved: string[] = [];
  return new Promise((resolve) => {
    let left = names.length;
    const next = (): void => {
      const allowed = addresses.filter((address) => found.has(address));
      if (left === 0 || allowed.length === addresses.length) resolve([allowed, unresolved]);
    };
    for (const name of names) {
      lookUp(name)
        .then(
          (answer) => answer.forEach((address) => found.add(unmapped(address))),
          () => unresolved.push(name),
        )
        .finally(() => {
          left--;
          next();
        });
    }
    next();
  });
}

/** So many of a list are named in a text. */
const MOST_SHOWN = 8;

function some(words: readonly string[]): string {
  const more = words.length - MOST_SHOWN;
  return words.slice(0, MOST_SHOWN).join(", ") + (more > 0 ? `, and ${more} more` : "");
}

function parseEntry(entry: string): Entry {
  const [, identity, target = ""] = /^(?:(?!unix:)([^=]*)=)?(.*)$/s.exec(entry) ?? [];
  if (identity === "") throw unusable(entry, "before the = stands the identity of a client");
  const nothing = { identity, ports: undefined, addresses: new AddressList(), name: "", path: "" };
  if (target.startsWith(UNIX_PREFIX)) return { ...nothing, path: socketPathIn(entry, target) };
  const { host, inBrackets, port } = hostAndPort(entry, target);
  const [least = "", most = least, ...more] = port.split("-");
  const ports = { least: portIn(entry, least), most: portIn(entry, most) };
  if (more.length > 0 || ports.least > ports.most) throw unusable(entry, "a range of ports is written as in 8000-8999");
  if (host.includes("/")) return { ...nothing, ports, addresses: network(entry, host, inBrackets) };
  if (host === "*") throw unusable(entry, `${EVERYWHERE} is everywhere`);
  const where = connectable(entry, host, inBrackets);
  if (isIP(where) === 0) return { ...nothing, ports, name: where };
  return { ...nothing, ports, addresses: listOf(entry, where) };
}

const EVERYWHERE = "0.0.0.0/0:443 and [::/0]:443";

function network(entry: string, cidr: string, inBrackets: boolean): AddressList {
  if (inBrackets !== cidr.includes(":"))
    throw unusable(entry, "an IPv6 network goes in brackets, as in [fd00::/8]:443");
  return listOf(entry, cidr);
}

function listOf(entry: string, where: string): AddressList {
  const list = new AddressList();
  if (!list.add(where)) throw unusable(entry, "neither an address nor a network, as in 10.0.0.0/8:443 (no zones)");
  return list;
}
