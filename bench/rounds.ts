/** Scenarios in interleaved rounds: what the machine does meanwhile falls on all entrants alike. */
import type { Side } from "./contenders.ts";
import { withCrew } from "./crew.ts";
import type { RowName } from "./rows.ts";
import type { Figures, Scenario, Settings } from "./scenario.ts";

/** Who is measured, in turns with the others. */
export interface Entrant<N extends string> {
  name: N;
  side: Side;
  /** Where its workers are; without, beside this file. */
  workersFolder?: URL;
}

/** What is measured how often. */
export interface Course<N extends string> {
  entrants: (scenario: Scenario) => readonly Entrant<N>[];
  rounds: (scenario: Scenario) => number;
  profile: boolean;
  /** Before each measurement: how many were made, of how many, and what is measured now. */
  onProgress: (done: number, of: number, text: string) => void;
}

/** Of a row, one figure a round. */
export type Measured<N extends string> = Partial<Record<N, number[]>>;

export interface Results<N extends string> {
  measured: Map<RowName, Measured<N>>;
  /** By name and with a reason. A scenario that failed has no result, whatever its other rounds have brought. */
  failures: Map<string, string>;
}

/** A link and, where there is something to compare it with, that. */
export function withReference(scenario: Scenario): readonly Entrant<Side>[] {
  return scenario.sides.map((side) => ({ name: side, side }));
}

export async function runRounds<N extends string>(
  scenarios: readonly Scenario[],
  { entrants, rounds, profile, onProgress }: Course<N>,
  settings: Settings,
): Promise<Results<N>> {
  const results: Results<N> = { measured: new Map(), failures: new Map() };
  const roundsMax = Math.max(...scenarios.map(rounds));
  const of = scenarios.reduce((sum, scenario) => sum + rounds(scenario) * entrants(scenario).length, 0);
  let done = 0;
  for (let round = 0; round < roundsMax; round++) {
    for (const scenario of scenarios) {
      const roundsOfIt = rounds(scenario);
      if (round >= roundsOfIt || results.failures.has(scenario.name)) continue;
      // Who comes first takes turns too: a machine that slows down does not always hit the same one.
      const turn = round % 2 === 0 ? entrants(scenario) : entrants(scenario).toReversed();
      let measuring = "";
      try {
        for (const { name, side, workersFolder } of turn) {
          measuring = name;
          onProgress(done++, of, `round ${round + 1}/${roundsOfIt}  ${scenario.name}  ${name}`);
          const label = profile ? `${scenario.name}, ${name}` : undefined;
          const figures = await withCrew(label, (crew) => scenario.measure(side, crew, settings), workersFolder);
          note(results.measured, name, figures);
        }
      } catch (error) {
        results.failures.set(scenario.name, `${measuring}: ${(error as Error).message}`);
        for (const row of scenario.rows) results.measured.delete(row);
      }
    }
  }
  return results;
}

function note<N extends string>(measured: Results<N>["measured"], name: N, figures: Figures): void {
  for (const [row, figure] of Object.entries(figures) as [RowName, number][]) {
    const figuresOf: Measured<N> = measured.get(row) ?? {};
    measured.set(row, figuresOf);
    (figuresOf[name] ??= []).push(figure);
  }
}
