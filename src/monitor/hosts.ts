/**
 * Which names a browser may have reached this server by. With DNS rebinding a page of a stranger's reaches a server on
 * loopback under the stranger's own name, and may then read its answers.
 */
import { isIP } from "node:net";
import { invalidOption, invalidWord } from "../link/errors.ts";

const MOST_HOSTS = 100;
/** The longest name in the DNS. */
const MOST_NAME = 253;

/** In lower case, without a dot at the end. Throws INVALID_OPTION. */
export function resolveHosts(given: unknown): ReadonlySet<string> {
  if (!Array.isArray(given) || given.length > MOST_HOSTS) {
    throw invalidOption("allowedHosts", given, `a list of at most ${MOST_HOSTS} names`);
  }
  return new Set(
    given.map((name: unknown, at) => {
      if (typeof name !== "string" || name.length > MOST_NAME || !/^[\w-]+(?:\.[\w-]+)*\.?$/u.test(name)) {
        throw invalidWord(`allowedHosts.${at}`, name, "a host's name, without a port");
      }
      return normal(name);
    }),
  );
}

/** `header`: each Host header of a request. There must be one, with an IP address, localhost, or an allowed name. */
export function isAllowedHost(header: readonly string[], allowed: ReadonlySet<string>): boolean {
  const [host, another] = header;
  if (host === undefined || another !== undefined) return false;
  const [, bracketed, plain = ""] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d{1,5})?$/u.exec(host) ?? [];
  if (bracketed !== undefined) return isIP(bracketed) === 6;
  const name = normal(plain);
  return isIP(name) === 4 || name === "localhost" || (name !== "" && allowed.has(name));
}

function normal(name: string): string {
  return name.toLowerCase().replace(/\.$/u, "");
}
