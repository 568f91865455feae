/** What is told of a server's resources: events, numbers, and the reasons of `health()`. */
import type { OverloadAction } from "../../core/overload/actions.ts";
import type { ResourceReport } from "../../core/overload/ladder.ts";
import type { OverloadEvent } from "../../core/overload/resource-ladder.ts";
import type { Sampler } from "../../io/resources/sampler.ts";
import type { Released } from "./relief.ts";
import type { WatchedResource } from "./watched-resource.ts";

/**
 * A step against overload, or the end of one. `observed`, `threshold`, `limit` and `released` are in the resource's own
 * unit: descriptors, bytes, milliseconds, pages of TCP memory, or what a custom resource is read in.
 */
export interface OverloadReport {
  /**
   * `act`: the action is carried out, and holds from now on if it is a condition. `release`: this resource does not
   * hold it any more. `recover`: the overload of this resource is over. `ineffective`: the last steps have not helped,
   * and no more are taken. `unreadable`: the overload ends, as the resource could not be read for 30 s.
   */
  type: "act" | "release" | "recover" | "ineffective" | "unreadable";
  /** `heap`, `lag`, …, or the name of a custom one. */
  resource: string;
  /** The last reading. */
  observed: number;
  /** The threshold that it has passed. */
  threshold: number;
  /** Absent where the resource has none. */
  limit?: number;
  /** Milliseconds since the reading. */
  ageMs: number;
  /** Of `act` and `release`. */
  action?: OverloadAction;
  /**
   * The ids of the links that were closed, shed or ended, or whose received messages were forgotten. Of a supervised
   * server, the remote addresses of the connections that were closed, or whose clients were asked to leave.
   */
  victims: readonly string[];
  /** How much of the resource the act has freed, as far as that is known; 0 if it is not. */
  released: number;
  /** Nothing was done: `victims` and `released` say what would have been. */
  dryRun: boolean;
}

/** One resource. Amounts are in its own unit; see `OverloadReport`. */
export interface ResourceStats {
  /** `ineffective`: overloaded, and no more steps are taken, as the last ones have not helped. */
  state: "normal" | "overloaded" | "ineffective" | "not-watched";
  /** Why it is not watched. */
  notWatched?: string;
  /** The last reading; undefined before the first. */
  observed: number | undefined;
  limit: number | undefined;
  low: number | undefined;
  high: number | undefined;
  /** Milliseconds since it could be read. */
  ageMs: number;
  /** How long one reading takes, in microseconds. */
  costUs: number;
  /** The conditions that are in force because of it. */
  holds: readonly OverloadAction[];
  /** How often each action was taken because of it, since the beginning; with `dryRun`, how often it would have been. */
  steps: Readonly<Partial<Record<OverloadAction, number>>>;
}

export function reportOf(
  { type, resource: name, observed, threshold, ageMs, action }: OverloadEvent,
  resource: WatchedResource,
  released: Released,
  dryRun: boolean,
): OverloadReport {
  const { limit } = resource;
  return {
    type,
    resource: name,
    observed: resource.outOfUnit(observed),
    threshold: resource.outOfUnit(threshold),
    ...(limit !== undefined && { limit }),
    ageMs,
    ...(action !== undefined && { action }),
    victims: released.victims,
    released: resource.freed(released),
    dryRun,
  };
}

/** A state of a resource in words; "" if it is normal. */
export function stateReason(
  { state, observed = 0, rule: { name } }: ResourceReport,
  resource: WatchedResource,
): string {
  if (state === "normal") return "";
  const { isShare } = resource;
  const at = isShare ? `${Math.round(observed * 100)} % of its limit` : String(Math.round(observed * 100) / 100);
  const help = state === "ineffective" ? ", and nothing that was done has helped" : "";
  return `resources.${name} is overloaded: ${at}${help}`;
}

export function resourceStats(
  { readings, notWatched }: Sampler,
  watched: ReadonlyMap<string, WatchedResource>,
  reports: ReadonlyMap<string, ResourceReport>,
): Record<string, ResourceStats> {
  const stats: Record<string, ResourceStats> = {};
  for (const [name, { observed, ageMs, costUs }] of readings) {
    const resource = watched.get(name) as WatchedResource;
    const { low, high, limit } = resource;
    const { state = "normal", holds = [] } = reports.get(name) ?? {};
    const isUnlimited = state === "normal" && resource.isShare && limit === 0;
    stats[name] = {
      state: state === "unwatched" || isUnlimited ? "not-watched" : state,
      ...(isUnlimited && { notWatched: "its limit is 0" }),
      observed,
      limit,
      low: low === Infinity ? undefined : resource.outOfUnit(low),
      high: high === Infinity ? undefined : resource.outOfUnit(high),
      ageMs,
      costUs,
      holds,
      steps: resource.steps,
    };
  }
  for (const [name, reason] of notWatched) {
    const unread = { observed: undefined, limit: undefined, low: undefined, high: undefined, ageMs: 0, costUs: 0 };
    stats[name] = { state: "not-watched", notWatched: reason, ...unread, holds: [], steps: {} };
  }
  return stats;
}
