/** Scenarios in interleaved rounds: what the machine does meanwhile falls on both sides alike. */
import type { Side } from "./contenders.ts";
import { withCrew } from "./crew.ts";
import type { RowName } from "./rows.ts";
import type { Figures, Scenario, Settings } from "./scenario.ts";

/** Of a row, one figure a round. */
export type Measured = Record<Side, number[]>;

export interface Results {
  measured: Map<RowName, Measured>;
  /** By name and with a reason. A scenario that failed has no result, whatever its other rounds have brought. */
  failures: Map<string, string>;
}

export async function runRounds(
  scenarios: readonly Scenario[],
  rounds: number,
  settings: Settings,
  { profile, onProgress }: { profile: boolean; onProgress: (line: string) => void },
): Promise<Results> {
  const results: Results = { measured: new Map(), failures: new Map() };
  for (let round = 0; round < rounds; round++) {
    for (const scenario of scenarios) {
      const roundsOfIt = Math.min(rounds, scenario.roundsMax ?? rounds);
      if (round >= roundsOfIt || results.failures.has(scenario.name)) continue;
      // Who comes first takes turns too: a machine that slows down does not always hit the same side.
      const sides = round % 2 === 0 ? scenario.sides : scenario.sides.toReversed();
      try {
        for (const side of sides) {
          onProgress(`round ${round + 1}/${roundsOfIt}  ${scenario.name}  ${side}`);
          const label = profile ? `${scenario.name}, ${side}` : undefined;
          const figures = await withCrew(label, (crew) => scenario.measure(side, crew, settings));
          note(results.measured, side, figures);
        }
      } catch (error) {
        results.failures.set(scenario.name, (error as Error).message);
        for (const row of scenario.rows) results.measured.delete(row);
      }
    }
  }
  return results;
}

function note(measured: Results["measured"], side: Side, figures: Figures): void {
  for (const [name, figure] of Object.entries(figures) as [RowName, number][]) {
    let row = measured.get(name);
    if (row === undefined) measured.set(name, (row = { ours: [], reference: [] }));
    row[side].push(figure);
  }
}
