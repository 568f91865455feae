/** What a metric is, and how one is described. */
import type { SourceKind } from "../telemetry/observed.ts";
import type { ResourceStats } from "../telemetry/samples.ts";
import type { Measured } from "../telemetry/telemetry.ts";

/** The numbers of one manager or server. */
export interface Measurement extends Measured {
  health: "healthy" | "degraded" | "down";
  limits: object;
  /** By name; none of a manager. */
  resources: Readonly<Record<string, ResourceStats>>;
}

/** `upTo`: how many were at most so large, by each bound. */
export interface Distribution {
  upTo: ReadonlyArray<readonly [bound: number, count: number]>;
  count: number;
  sum: number;
}

interface Described {
  name: string;
  help: string;
  of: readonly SourceKind[];
}

/** Undefined: there is none now. */
export type Metric = Described &
  (
    | { type: "counter" | "gauge"; label?: undefined; read: (measured: Measurement) => number | undefined }
    | {
        type: "counter" | "gauge";
        label: string;
        by?: undefined;
        read: (measured: Measurement) => Readonly<Record<string, number>>;
      }
    /** With two labels: for each value of `by`, one number for each value of `label`. */
    | {
        type: "counter" | "gauge";
        label: string;
        by: string;
        read: (measured: Measurement) => Readonly<Record<string, Readonly<Record<string, number>>>>;
      }
    | { type: "histogram"; label?: undefined; read: (measured: Measurement) => Distribution }
  );

export const ANY: readonly SourceKind[] = ["manager", "server", "supervised"];
export const LINKS: readonly SourceKind[] = ["manager", "server"];
export const MANAGER: readonly SourceKind[] = ["manager"];
export const SERVERS: readonly SourceKind[] = ["server", "supervised"];
export const SERVER: readonly SourceKind[] = ["server"];
export const SUPERVISED: readonly SourceKind[] = ["supervised"];

type Read<T> = (measured: Measurement) => T;

export function counter(name: string, of: readonly SourceKind[], help: string, read: Read<number | undefined>): Metric {
  return { name, type: "counter", help, of, read };
}

export function gauge(name: string, of: readonly SourceKind[], help: string, read: Read<number | undefined>): Metric {
  return { name, type: "gauge", help, of, read };
}

export function labelled(
  type: "counter" | "gauge",
  name: string,
  of: readonly SourceKind[],
  label: string,
  help: string,
  read: Read<Readonly<Record<string, number>>>,
): Metric {
  return { name, type, help, of, label, read };
}

export function seconds(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : ms / 1_000;
}
