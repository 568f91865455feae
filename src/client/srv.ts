/** Endpoints out of SRV records of the DNS (RFC 2782), for the target `endpoints`. */
import { promises, type SrvRecord } from "node:dns";
import { codeOf } from "../core/foreign.ts";
import { SystemClock } from "../io/clock.ts";
import { SYSTEM_ENTROPY } from "../io/entropy.ts";
import { checkOptions, text } from "../link/check.ts";
import { invalidOption, RespliceError } from "../link/errors.ts";
import type { Clock } from "../link/ports.ts";
import { timedWait } from "../link/waits.ts";
import type { Endpoint, ForEachAttempt } from "./targets.ts";

/** The options of srv(). */
export interface SrvOptions {
  /**
   * The DNS servers to ask, as `Resolver.setServers()` takes them: "10.0.0.53", "10.0.0.53:5353", "[::1]:5353".
   * Default: those of the system.
   */
  servers?: readonly string[];
}

/** Asks for the records of a name. `promises.Resolver` is one. */
export interface SrvResolver {
  resolveSrv(name: string): Promise<SrvRecord[]>;
  /** Takes back the queries that are under way: they fail. */
  cancel(): void;
}

/** The parts of the process that the module needs; tests give their own. */
export interface SrvHost {
  readonly clock: Clock;
  newResolver(): SrvResolver;
  /** In [0, 1). */
  readonly random: () => number;
}

/** c-ares does not notice that resolv.conf has changed (nodejs/node#1644): a resolver is replaced after so long. */
const RESOLVER_MS = 60_000;
/** One server is asked for one second, and once more for two, which is within the time that the function has. */
const QUERY = { timeout: 1_000, tries: 2 } as const;
/** A caller that has a list from before waits so long for a new one: a DNS that is away must not keep links away. */
const PATIENCE_MS = 2_000;

/**
 * A function for the target `endpoints` that looks up the SRV records of `name`, for example
 * `_resplice._tcp.example.com`, at each attempt. The lowest priority comes first; records of one priority are drawn by
 * their weights. Links that share the function share a query that is under way. If the query fails, or takes longer
 * than 2 s, the last list that was found is used. Without one, or if the records say that there is no such service (the
 * target "."), the attempt fails with CONNECT_FAILED, and is retried. With TLS the certificate is checked for the
 * record's target.
 *
 * @throws RespliceError INVALID_OPTION
 *
 * @example
 * ```ts
 * manager.open({ endpoints: srv("_resplice._tcp.example.com"), tls: true });
 * ```
 */
export function srv(name: string, options: SrvOptions = {}): ForEachAttempt<readonly Endpoint[]> {
  text("name", name);
  checkOptions("srv()", options, '{ servers: ["10.0.0.53"] }', ["servers"], "srv.");
  const { servers } = options;
  const newResolver = (): SrvResolver => {
    const resolver = new promises.Resolver(QUERY);
    if (servers !== undefined) resolver.setServers(servers);
    return resolver;
  };
  try {
    newResolver();
  } catch {
    throw invalidOption("srv.servers", servers, "IP addresses, each with a port if it is not 53");
  }
  return srvOf(name, { newResolver, clock: new SystemClock(), random: () => SYSTEM_ENTROPY.random() });
}

/** As `srv()`, with the process as an argument. */
export function srvOf(name: string, host: SrvHost): ForEachAttempt<readonly Endpoint[]> {
  const records = new SrvRecords(name, host);
  return async ({ signal }) => inOrder(await records.find(signal), host.random);
}

/** A query, and how many callers have asked for it and not gone. */
interface SharedQuery {
  readonly records: Promise<readonly SrvRecord[]>;
  waiting: number;
}

class SrvRecords {
  readonly #name: string;
  readonly #host: SrvHost;
  #resolver: { readonly is: SrvResolver; readonly sinceMs: number } | undefined;
  #underWay: SharedQuery | undefined;
  #lastGood: readonly SrvRecord[] | undefined;

  constructor(name: string, host: SrvHost) {
    this.#name = name;
    this.#host = host;
  }

  /** Callers that come while a query is under way share it. It is taken back when the last of them has gone. */
  async find(signal: AbortSignal): Promise<readonly SrvRecord[]> {
    signal.throwIfAborted();
    const shared = (this.#underWay ??= this.#begin());
    const leave = (): void => {
      if (--shared.waiting > 0 || this.#underWay !== shared) return;
      this.#underWay = undefined;
      this.#resolver?.is.cancel();
    };
    shared.waiting++;
    signal.addEventListener("abort", leave, { once: true });
    try {
      return await this.#answer(shared.records, signal);
    } finally {
      signal.removeEventListener("abort", leave);
      if (!signal.aborted) shared.waiting--;
    }
  }

  #begin(): SharedQuery {
    const shared: SharedQuery = {
      waiting: 0,
      records: this.#query().finally(() => {
        if (this.#underWay === shared) this.#underWay = undefined;
      }),
    };
    return shared;
  }

  async #answer(query: Promise<readonly SrvRecord[]>, signal: AbortSignal): Promise<readonly SrvRecord[]> {
    const before = this.#lastGood;
    if (before === undefined) return query;
    const { clock } = this.#host;
    const answered = timedWait(clock, clock.now() + PATIENCE_MS);
    signal.addEventListener("abort", answered.end, { once: true });
    query.then(answered.end, answered.end);
    return (await answered.promise) ? query : before;
  }

  async #query(): Promise<readonly SrvRecord[]> {
    let found: readonly SrvRecord[];
    try {
      found = await this.#freshResolver().resolveSrv(this.#name);
    } catch (cause) {
      // The next query has a new resolver: the system's servers may be others now.
      this.#resolver = undefined;
      if (this.#lastGood !== undefined) return this.#lastGood;
      throw new RespliceError(
        "CONNECT_FAILED",
        `no SRV records of ${this.#name}: ${codeOf(cause) ?? "the query failed"}`,
        { cause },
      );
    }
    // A record of which the target is the root: the service is not there, and somebody has decided so.
    const usable = found.filter(({ name: target }) => target !== "." && target !== "");
    this.#lastGood = usable.length > 0 ? usable : undefined;
    if (this.#lastGood !== undefined) return this.#lastGood;
    throw new RespliceError("CONNECT_FAILED", `${this.#name} says that there is no such service`);
  }

  #freshResolver(): SrvResolver {
    const nowMs = this.#host.clock.now();
    if (this.#resolver === undefined || nowMs - this.#resolver.sinceMs >= RESOLVER_MS) {
      this.#resolver = { is: this.#host.newResolver(), sinceMs: nowMs };
    }
    return this.#resolver.is;
  }
}

function inOrder(records: readonly SrvRecord[], random: () => number): Endpoint[] {
  const priorities = [...new Set(records.map(({ priority }) => priority))].toSorted((one, other) => one - other);
  return priorities
    .flatMap((priority) =>
      drawn(
        records.filter((record) => record.priority === priority),
        random,
      ),
    )
    .map(({ name, port }) => ({ host: name, port }));
}

/** Draws one record after the other, each by its part of the weight that is left (RFC 2782, "Weight"). */
function drawn(records: readonly SrvRecord[], random: () => number): SrvRecord[] {
  // Those of weight 0 stand first, which leaves them a small chance.
  const left = records.toSorted((one, other) => one.weight - other.weight);
  const order: SrvRecord[] = [];
  while (left.length > 0) {
    const total = left.reduce((sum, { weight }) => sum + weight, 0);
    const mark = Math.floor(random() * (total + 1));
    let sum = 0;
    const at = left.findIndex(({ weight }) => (sum += weight) >= mark);
    order.push(...left.splice(at, 1));
  }
  return order;
}
