/**
 * The metrics of the resources that servers watch, and of what is done against overload. The label `resource` has the
 * names of the resources, and of the application's own ones, of which a server has 32 at most.
 */
import type { ResourceStats } from "../telemetry/samples.ts";
import { labelled, type Metric, seconds, SERVERS } from "./metric.ts";

export const RESOURCE_METRICS: readonly Metric[] = [
  level("resplice_resource_observed", "The last reading of each resource, in its own unit", ({ observed }) => observed),
  level("resplice_resource_limit", "The limit of each resource, in its own unit", ({ limit }) => limit),
  level("resplice_resource_low", "Below it for some time, the overload of the resource is over", ({ low }) => low),
  level("resplice_resource_high", "At or above it for some time, the resource is overloaded", ({ high }) => high),
  byWord(
    "gauge",
    "resplice_resource_state",
    "state",
    "1 for the present state of each resource, 0 for the others",
    ({ state }) => ({ [state]: 1 }),
  ),
  level("resplice_resource_age_seconds", "Since each resource could be read", ({ ageMs, observed }) =>
    observed === undefined ? undefined : seconds(ageMs),
  ),
  level("resplice_resource_reading_seconds", "How long it takes to read each resource", ({ costUs, observed }) =>
    observed === undefined ? undefined : costUs / 1_000_000,
  ),
  byWord(
    "gauge",
    "resplice_overload_in_force",
    "action",
    "1 for each action that is in force, by whose overload",
    ({ holds }) => Object.fromEntries(holds.map((action) => [action, 1])),
  ),
  byWord(
    "counter",
    "resplice_overload_actions_total",
    "action",
    "Actions that were taken, by whose overload",
    ({ steps }) => steps,
  ),
];

/** A number of each resource; undefined where there is none now. */
function level(name: string, help: string, read: (resource: ResourceStats) => number | undefined): Metric {
  return labelled("gauge", name, SERVERS, "resource", help, ({ resources }) => {
    const numbers = Object.entries(resources).map(([resource, sample]) => [resource, read(sample)] as const);
    return Object.fromEntries(numbers.filter((entry): entry is [string, number] => entry[1] !== undefined));
  });
}

/** Numbers of each resource, one for each word. */
function byWord(
  type: "counter" | "gauge",
  name: string,
  label: string,
  help: string,
  read: (resource: ResourceStats) => Readonly<Record<string, number>>,
): Metric {
  const readAll: Extract<Metric, { by: string }>["read"] = ({ resources }) =>
    Object.fromEntries(Object.entries(resources).map(([resource, sample]) => [resource, read(sample)]));
  return { name, type, help, of: SERVERS, by: "resource", label, read: readAll };
}
