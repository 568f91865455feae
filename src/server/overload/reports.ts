/** What is told of a server's resources: events, numbers, and the reasons of `health()`. */
import type { ResourceReport } from "../../core/overload/ladder.ts";
import type { OverloadEvent } from "../../core/overload/resource-ladder.ts";
import type { Sampler } from "../../io/resources/sampler.ts";
import type { OverloadReport } from "../../telemetry/record.ts";
import type { ResourceStats } from "../../telemetry/samples.ts";
import type { Released } from "./relief.ts";
import type { WatchedResource } from "./watched-resource.ts";

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
