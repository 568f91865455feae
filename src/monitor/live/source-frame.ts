/** One manager or server, as the live page shows it. */
import type { Observed } from "../../telemetry/observed.ts";
import { printable } from "../../telemetry/printable.ts";
import { RECOVERY_CLASSES_MS } from "../../telemetry/event-counts.ts";
import type { Numbers, ResourceStats } from "../../telemetry/samples.ts";
import type { Figure, ResourceFrame, SourceFrame } from "./messages.ts";
import { type Rates, rounded, type Sums } from "./sums.ts";

/** health() names so many links, and how many there are more. */
const MOST_REASONS = 16;

export interface Looked {
  name: string;
  observed: Observed;
  sums: Sums | undefined;
  rates: Rates | undefined;
}

export function sourceFrame({ name, observed, sums, rates }: Looked): SourceFrame {
  const { status, reasons } = observed.health();
  const resources = Object.entries(observed.resources?.() ?? {});
  return {
    kind: observed.kind,
    name: printable(name),
    status,
    reasons: reasons.slice(0, MOST_REASONS).map((reason) => printable(reason)),
    figures: { ...linkFigures(observed, sums, rates), ...serverFigures(observed) },
    resources: resources.map(([resource, stats]) => resourceFrame(resource, stats)),
  };
}

type Figures = Partial<Record<Figure, number>>;

function linkFigures(observed: Observed, sums: Sums | undefined, rates: Rates | undefined): Figures {
  if (observed.links === undefined || sums === undefined) return {};
  const { events, classes } = observed.telemetry.withoutLinks;
  const { count } = events.recoveries;
  return {
    links: sums.links,
    connected: sums.connected,
    ...rates,
    queued: sums.queued,
    inFlightBytes: sums.inFlightBytes,
    reconnects: sums.reconnects,
    ...recovery("recoveryP50Ms", classes, count, 0.5),
    ...recovery("recoveryP99Ms", classes, count, 0.99),
  };
}

/** The bound of the class that the quantile is in; nothing without recoveries, or above the last bound. */
function recovery(figure: Figure, classes: readonly number[], count: number, q: number): Figures {
  const at = count === 0 ? -1 : classes.findIndex((upTo) => upTo >= q * count);
  const mostMs = RECOVERY_CLASSES_MS[at];
  return mostMs === undefined ? {} : { [figure]: mostMs };
}

function serverFigures({ kind, telemetry }: Observed): Figures {
  if (kind === "manager") return {};
  const { counts } = telemetry.withoutLinks;
  const [refused, turnedAway, shed] = ["refused", "turnedAway", "shed"].map((count) => sumOf(counts[count]));
  const figures = { refused: refused ?? 0, turnedAway: turnedAway ?? 0, shed: shed ?? 0 };
  if (kind === "server") return figures;
  // It has no links, so these cost nothing.
  const { connections, requests } = telemetry.levels;
  return { connections: sumOf(connections), requests: sumOf(requests), ...figures };
}

function sumOf(numbers: Numbers | undefined): number {
  if (typeof numbers !== "object") return numbers ?? 0;
  return Object.values(numbers).reduce((sum, number) => sum + number, 0);
}

function resourceFrame(name: string, stats: ResourceStats): ResourceFrame {
  const { state, notWatched, holds, steps } = stats;
  const amounts = (["observed", "limit", "low", "high"] as const).flatMap((amount) => {
    const value = stats[amount];
    return value === undefined || !Number.isFinite(value) ? [] : [[amount, rounded(value)] as const];
  });
  return {
    name: printable(name),
    state,
    ...(notWatched !== undefined && { notWatched: printable(notWatched) }),
    ...Object.fromEntries(amounts),
    holds: [...holds],
    steps: Object.fromEntries(Object.entries(steps).filter(([, times]) => times > 0)),
  };
}
