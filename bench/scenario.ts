/** One measurement, which gives figures for one row or several, and what it is told. */
import type { Side } from "./contenders.ts";
import type { Crew } from "./crew.ts";
import type { RowName } from "./rows.ts";

export interface Settings {
  /** How long a measurement at full speed takes. */
  seconds: number;
  /** How long memory is watched. */
  memorySeconds: number;
  /** Whether a row is asked for: for what has parts that take long. */
  wants: (row: RowName) => boolean;
  /** Prints text that explains the figures. */
  show: (text: string) => void;
}

export interface Scenario {
  name: string;
  rows: readonly RowName[];
  /** Who is measured, in turns. */
  sides: readonly Side[];
  /** What takes long, or has many samples in one go, is not repeated as often as the others. */
  roundsMax?: number;
  measure(side: Side, crew: Crew, settings: Settings): Promise<Figures>;
}

export type Figures = Partial<Record<RowName, number>>;
