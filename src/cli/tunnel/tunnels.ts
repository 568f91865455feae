/** The listeners of a near end with their targets, on the command line and in a file of settings. */
import { parseTarget, type Target } from "../../tunnel/target.ts";
import { didYouMean, UsageError } from "../usage.ts";
import type { Config } from "./config.ts";
import { LOOPBACK, parsePlace, usable } from "./places.ts";
import type { Tunnel } from "./types.ts";

const MOST_TUNNELS = 256;
/** The name of a tunnel, or of a near end. */
export const NAME: RegExp = /^[\w.-]{1,64}$/;
export const NAME_RULE = "1 to 64 letters, digits, dots, hyphens and underscores";

/** `listen`: the listener that stands before the far end. Undefined: each text names its own. Throws a UsageError. */
export function fromCommandLine(listen: string | undefined, to: readonly string[]): Tunnel[] {
  if (to.length > MOST_TUNNELS) throw new UsageError(`--to is given ${to.length} times: at most ${MOST_TUNNELS}`);
  if (listen === undefined) return to.map((each) => splitTunnel("--to", each));
  const [target = "", ...more] = to;
  if (more.length > 0) {
    throw new UsageError(
      "one listener has one --to; for several: tunnel near FAR --to LISTEN=TARGET --to LISTEN=TARGET",
    );
  }
  return [tunnelOf(undefined, listen, target)];
}

/** LISTEN=TARGET. */
function splitTunnel(name: string, given: string): Tunnel {
  const at = given.indexOf("=");
  if (at < 0) {
    throw new UsageError(
      `${name} is LISTEN=TARGET, as in 5432=localhost:5432, where no listener stands before the far end`,
    );
  }
  return tunnelOf(undefined, given.slice(0, at), given.slice(at + 1));
}

/** The list `to` of a file: texts as on the command line, and objects. Throws a UsageError. */
export function tunnelsIn({ path, more: { to = [] } }: Config): Tunnel[] {
  if (!Array.isArray(to) || to.length > MOST_TUNNELS) {
    throw new UsageError(`${path}: to is a list of at most ${MOST_TUNNELS} tunnels`);
  }
  const tunnels = (to as unknown[]).map((each, at) => {
    if (typeof each === "string") return splitTunnel(`${path}: to[${at}]`, each);
    const { name, listen, target } = fieldsOf(`${path}: to[${at}]`, each);
    return tunnelOf(name, listen, target);
  });
  const names = tunnels.flatMap(({ name }) => name ?? []);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) throw new UsageError(`${path}: two tunnels have the name ${twice}`);
  return tunnels;
}

const FIELDS = ["name", "listen", "target"] as const;

function fieldsOf(where: string, given: unknown): { name: string | undefined; listen: string; target: string } {
  const fields: Partial<Record<string, unknown>> = typeof given === "object" && given !== null ? { ...given } : {};
  const unknown = Object.keys(fields).find((name) => !(FIELDS as readonly string[]).includes(name));
  if (unknown !== undefined) {
    throw new UsageError(`${where}: there is no ${JSON.stringify(unknown)}${didYouMean(unknown, FIELDS, "")}`);
  }
  const { name, listen, target } = fields;
  const place = typeof listen === "number" ? String(listen) : listen;
  if (typeof place !== "string" || typeof target !== "string") {
    throw new UsageError(
      `${where} is "LISTEN=TARGET", or { "name", "listen", "target" } of which the name may be missing`,
    );
  }
  if (name !== undefined && (typeof name !== "string" || !NAME.test(name)))
    throw new UsageError(`${where}.name: ${NAME_RULE}`);
  return { name, listen: place, target };
}

/** Who gives a port alone means this machine. */
function tunnelOf(name: string | undefined, listen: string, target: string): Tunnel {
  return { name, listen: parsePlace(listen, LOOPBACK), target: usable(() => parseTarget(target)) };
}

/** What `tunnel check` is given: the name of a tunnel in the file, or a target. Throws a UsageError. */
export function targetCalled(what: string, config: Config): Target {
  const tunnels = tunnelsIn(config);
  const named = tunnels.find(({ name }) => name === what);
  if (named !== undefined) return named.target;
  if (what.includes(":")) return usable(() => parseTarget(what));
  const names = tunnels.flatMap(({ name }) => name ?? []);
  const there = names.length === 0 ? "no tunnel of a --config has a name" : `there are: ${names.join(", ")}`;
  throw new UsageError(
    `${JSON.stringify(what)} is no HOST:PORT, and no tunnel${didYouMean(what, names, "")}; ${there}`,
  );
}
