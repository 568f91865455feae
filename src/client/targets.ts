/** Where to connect: which endpoint the next attempt takes. */
import type { Duplex } from "node:stream";
import { type Endpoint, nameOf } from "../io/dial.ts";
import { hostName, integer, oneOf, text } from "../link/check.ts";
import { invalidOption, invalidWord } from "../link/errors.ts";
import type { Destination } from "./gate.ts";
import { Resting } from "./resting.ts";

export type { Endpoint };

/**
 * A function that is called for each attempt. It has `timeouts.connectMs`, or the rest of the attempt's time if that is
 * less; then `signal` is aborted. If the function throws, takes longer, or gives an unusable answer, the attempt fails
 * and is retried; but a terminal RespliceError that it throws ends the link.
 */
export type ForEachAttempt<T> = (attempt: { number: number; signal: AbortSignal }) => T | Promise<T>;

/** Where to connect. Names are resolved again for each attempt. */
export type Target =
  | Endpoint
  /**
   * A function is called for each attempt (SRV, a registry). An endpoint all of whose addresses have failed is passed
   * over for 30 s, if there is another. Default order: "in-order".
   */
  | { endpoints: readonly Endpoint[] | ForEachAttempt<readonly Endpoint[]>; endpointOrder?: EndpointOrder }
  /** Any transport (a proxy, an SSH stream): a new stream for each attempt. */
  | { connect: ForEachAttempt<Duplex> };

/** Which of several endpoints an attempt dials, of those that do not rest: the first, each in turn, or any. */
export type EndpointOrder = "in-order" | "round-robin" | "random";

export type ResolvedTarget =
  | { kind: "endpoints"; endpoints: readonly Endpoint[] | ForEachAttempt<readonly Endpoint[]>; order: EndpointOrder }
  | { kind: "connect"; connect: ForEachAttempt<Duplex> };

/** The same for all links that connect to the same servers. */
export function destinationOf(target: ResolvedTarget): Destination {
  if (target.kind === "connect") return target.connect;
  const { endpoints } = target;
  return typeof endpoints === "function" ? endpoints : endpoints.map(nameOf).join(" ");
}

/** The options that say where to connect, in groups: only names of one group may be given. */
const KINDS: ReadonlyArray<readonly string[]> = [
  ["port", "host"],
  ["path"],
  ["endpoints", "endpointOrder"],
  ["connect"],
];

export function resolveTarget(target: Target): ResolvedTarget {
  const given = KINDS.filter((names) => names.some((name) => (target as Record<string, unknown>)[name] !== undefined));
  if (given.length > 1) {
    const name = given[1]?.find((other) => (target as Record<string, unknown>)[other] !== undefined) ?? "";
    throw invalidWord(
      name,
      (target as Record<string, unknown>)[name],
      "one target: port and host, path, endpoints, or connect",
    );
  }
  if ("connect" in target) {
    if (typeof target.connect !== "function") throw invalidOption("connect", target.connect, "a function");
    return { kind: "connect", connect: target.connect };
  }
  if ("endpoints" in target) {
    const { endpoints } = target;
    if (typeof endpoints !== "function") toEndpoints(endpoints);
    const order = oneOf("endpointOrder", target.endpointOrder ?? "in-order", ["in-order", "round-robin", "random"]);
    return { kind: "endpoints", endpoints, order };
  }
  const endpoint: Endpoint = "path" in target ? { path: target.path } : withHost(target);
  toEndpoints([endpoint]);
  return { kind: "endpoints", endpoints: [endpoint], order: "in-order" };
}

function withHost({ port, host }: { port: number; host?: string }): Endpoint {
  return host === undefined ? { port } : { port, host };
}

export function toEndpoints(endpoints: unknown): readonly Endpoint[] {
  if (!Array.isArray(endpoints) || endpoints.length === 0)
    throw invalidOption("endpoints", endpoints, "at least one endpoint");
  for (const endpoint of endpoints as readonly unknown[]) {
    if (typeof endpoint !== "object" || endpoint === null) {
      throw invalidOption("endpoints", endpoint, "objects with port and host, or with path");
    }
    if ("path" in endpoint) {
      text("path", endpoint.path);
    } else {
      integer("port", "port" in endpoint ? endpoint.port : undefined, 1, 65_535);
      if ("host" in endpoint && endpoint.host !== undefined) hostName("host", endpoint.host);
    }
  }
  return endpoints as readonly Endpoint[];
}

export class EndpointChooser {
  /** Endpoints that have failed, by name, and addresses of them. */
  readonly resting: Resting = new Resting();
  readonly #order: EndpointOrder;
  #passedOver: string | undefined;
  #turn = 0;

  constructor(order: EndpointOrder) {
    this.#order = order;
  }

  /** Chooses `before`, the endpoint of the last connection, unless it failed lately; else by the order. */
  choose(endpoints: readonly Endpoint[], nowMs: number, random: number, before?: Endpoint): Endpoint {
    const rested = endpoints.filter((endpoint) => !this.resting.rests(nameOf(endpoint), nowMs));
    const same = before && rested.find((endpoint) => nameOf(endpoint) === nameOf(before));
    if (same !== undefined) return same;
    if (rested.length === 0) {
      return endpoints.reduce((best, other) => (this.#lastFailureMs(other) < this.#lastFailureMs(best) ? other : best));
    }
    const others = rested.filter((endpoint) => nameOf(endpoint) !== this.#passedOver);
    this.#passedOver = undefined;
    const candidates = others.length > 0 ? others : rested;
    const at = {
      "in-order": 0,
      "round-robin": this.#turn++ % candidates.length,
      random: Math.floor(random * candidates.length),
    };
    return candidates[at[this.#order]] as Endpoint;
  }

  failed(endpoint: Endpoint, nowMs: number): void {
    this.resting.failed(nameOf(endpoint), nowMs);
  }

  /**
   * The next choice falls on another endpoint, if there is one. For faults of this machine, some of which are always
   * the same for one endpoint: an IPv6 address where there is no IPv6.
   */
  passOver(endpoint: Endpoint): void {
    this.#passedOver = nameOf(endpoint);
  }

  connected(endpoint: Endpoint): void {
    this.resting.connected(nameOf(endpoint));
  }

  #lastFailureMs(endpoint: Endpoint): number {
    return this.resting.lastFailureMs(nameOf(endpoint));
  }
}
