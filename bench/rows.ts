/** What is measured, in which unit, and what is to be reached. The figures of a run are put beside it by `report.ts`. */

/** What a goal is about: our figure, our figure through the reference's, or what ours has beyond the reference's. */
export type Goal = { of: "ratio" | "ours" | "difference" } & ({ atLeast: number } | { atMost: number });

export interface RowDefinition {
  unit: string;
  /** null: shown beside others, to explain them. */
  goal: Goal | null;
}

const RATE = "messages/s";
const CPU = "ns/message, both ends";

export const ROWS = {
  "one way, 64 B": { unit: RATE, goal: { of: "ratio", atLeast: 0.75 } },
  "one way, 1 KiB": { unit: RATE, goal: { of: "ratio", atLeast: 0.85 } },
  "one way, 64 KiB copied": { unit: RATE, goal: { of: "ratio", atLeast: 0.85 } },
  "one way, 64 KiB transferred": { unit: RATE, goal: { of: "ratio", atLeast: 1 } },
  "one way, 64 KiB transferred, raw uncopied too": { unit: RATE, goal: null },
  "one way, 64 B, CPU": { unit: CPU, goal: { of: "ratio", atMost: 1.35 } },
  "one way, 1 KiB, CPU": { unit: CPU, goal: null },
  "one way, 64 KiB copied, CPU": { unit: CPU, goal: null },
  "one way, 64 KiB transferred, CPU": { unit: CPU, goal: null },
  "one way, 64 KiB transferred, raw uncopied too, CPU": { unit: CPU, goal: null },
  "both directions busy, 64 B": { unit: RATE, goal: { of: "ratio", atLeast: 0.75 } },
  "both directions busy, 64 B, CPU": { unit: CPU, goal: null },
  "received by for await, 64 B": { unit: RATE, goal: { of: "ours", atLeast: 2_500_000 } },
  "received by for await, 64 B, CPU": { unit: CPU, goal: null },
  "await send(), 64 B": { unit: RATE, goal: { of: "ours", atLeast: 1_500_000 } },
  "await send(), 64 B, CPU": { unit: CPU, goal: null },
  "until accepted, 1,000 in flight, 64 B": { unit: RATE, goal: { of: "ours", atLeast: 500_000 } },
  "until accepted, 1,000 in flight, 64 B, CPU": { unit: CPU, goal: null },
} as const satisfies Record<string, RowDefinition>;

export type RowName = keyof typeof ROWS;
