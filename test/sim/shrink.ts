/** From a schedule that fails to the simplest one found that fails in the same way. */
import { type Fault, parametersOf } from "./fault-kinds.ts";
import { simplerOptions } from "./options.ts";
import { round } from "./parameters.ts";
import { Failure, runSchedule } from "./run.ts";
import type { Schedule } from "./schedule.ts";

export interface Shrunk {
  failure: Failure;
  /** How many schedules were tried. */
  runs: number;
}

/** Stops after `mostRuns` schedules, or when `isOver` says so. */
export function shrink(failure: Failure, mostRuns: number = 1_000, isOver: () => boolean = () => false): Shrunk {
  return new Shrinker(failure, mostRuns, isOver).shrink();
}

class Shrinker {
  #failure: Failure;
  readonly #mostRuns: number;
  readonly #isOver: () => boolean;
  #runs = 0;

  constructor(failure: Failure, mostRuns: number, isOver: () => boolean) {
    this.#failure = failure;
    this.#mostRuns = mostRuns;
    this.#isOver = isOver;
  }

  shrink(): Shrunk {
    for (let before: Failure | undefined; before !== this.#failure;) {
      before = this.#failure;
      this.#dropFaults();
      this.#simplify(({ options }) => simplerOptions(options).map((simpler) => ({ options: simpler })));
      this.#simplify(({ faults }) => sooner(faults).map((simpler) => ({ faults: simpler })));
      this.#simplify(({ faults }) => simplerFaults(faults).map((simpler) => ({ faults: simpler })));
    }
    return { failure: this.#failure, runs: this.#runs };
  }

  /** Half of them, a quarter, ..., each by itself. */
  #dropFaults(): void {
    for (let size = this.#failure.schedule.faults.length; size >= 1; size = Math.floor(size / 2)) {
      for (let at = 0; at < this.#failure.schedule.faults.length;) {
        const { faults } = this.#failure.schedule;
        if (!this.#try({ faults: faults.toSpliced(at, size) })) at += size;
      }
    }
  }

  /** Takes what fails as well, until nothing simpler does. */
  #simplify(simplerOf: (schedule: Schedule) => Array<Partial<Schedule>>): void {
    while (simplerOf(this.#failure.schedule).some((simpler) => this.#try(simpler)));
  }

  #try(changed: Partial<Schedule>): boolean {
    if (this.#runs >= this.#mostRuns || this.#isOver()) return false;
    this.#runs++;
    try {
      runSchedule({ ...this.#failure.schedule, ...changed });
      return false;
    } catch (error) {
      if (!(error instanceof Failure) || error.violation !== this.#failure.violation) return false;
      this.#failure = error;
      return true;
    }
  }
}

/** All faults in half the time, or one of them, and those after it, without the pause or half of it. */
function sooner(faults: readonly Fault[]): Fault[][] {
  const inHalf = faults.map((fault) => movedTo(fault, fault.atMs / 2));
  const pulled = faults.flatMap((_, from) => {
    const pauseMs = (faults[from]?.atMs ?? 0) - (faults[from - 1]?.atMs ?? 0);
    return [pauseMs, round(pauseMs / 2)].map((byMs) =>
      faults.map((fault, n) => (n < from ? fault : movedTo(fault, fault.atMs - byMs))),
    );
  });
  return [inHalf, ...pulled].filter((moved) => moved.some(({ atMs }, n) => atMs < (faults[n]?.atMs ?? 0)));
}

function movedTo(fault: Fault, atMs: number): Fault {
  return { ...fault, atMs: round(atMs) };
}

function simplerFaults(faults: readonly Fault[]): Fault[][] {
  return faults.flatMap((fault, n) =>
    parametersOf(fault.kind).flatMap(([name, parameter]) =>
      parameter
        .simpler((fault as unknown as Record<string, unknown>)[name])
        .map((value) => faults.with(n, { ...fault, [name]: value })),
    ),
  );
}
