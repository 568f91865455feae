/** What was done of a range of seeds, kept in a file so that a long run can be done in parts. */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { addCounts, type Counts } from "./coverage.ts";

export interface FailedSeed {
  seed: number;
  violation: string;
  /** Where its shrunk schedule is, unless another seed has failed in the same way. */
  file: string | undefined;
}

type Range = [first: number, last: number];

interface Saved {
  from: number;
  seeds: number;
  twice: boolean;
  /** Of the code that was run: a part of it may have been done with an older one. */
  code: string[];
  done: Range[];
  failed: FailedSeed[];
  counts: Array<[string, number]>;
}

export class Progress {
  readonly from: number;
  readonly seeds: number;
  readonly twice: boolean;
  readonly failed: FailedSeed[] = [];
  readonly counts: Counts = new Map();
  readonly code: string[] = [];
  #done: Range[] = [];

  constructor(from: number, seeds: number, twice: boolean) {
    this.from = from;
    this.seeds = seeds;
    this.twice = twice;
  }

  /** Throws if it is none, or not what was asked for. */
  static load(file: string, wanted: { from: number | undefined; seeds: number | undefined; twice: boolean }): Progress {
    if (!existsSync(file)) return new Progress(wanted.from ?? 1, wanted.seeds ?? 2_000, wanted.twice);
    const saved = JSON.parse(readFileSync(file, "utf8")) as Saved;
    for (const name of ["from", "seeds"] as const) {
      const value = wanted[name] ?? saved[name];
      if (value !== saved[name]) throw new Error(`it was begun with --${name} ${saved[name]}`);
    }
    const progress = new Progress(saved.from, saved.seeds, saved.twice || wanted.twice);
    for (const [first, last] of saved.done) progress.finished(first, last, []);
    progress.failed.push(...saved.failed);
    progress.code.push(...saved.code);
    addCounts(progress.counts, saved.counts);
    return progress;
  }

  save(file: string): void {
    const { from, seeds, twice, failed, code } = this;
    const saved: Saved = { from, seeds, twice, code, done: this.#done, failed, counts: [...this.counts] };
    writeFileSync(`${file}.new`, JSON.stringify(saved, undefined, 1));
    renameSync(`${file}.new`, file);
  }

  finished(first: number, last: number, counts: Iterable<readonly [string, number]>): void {
    addCounts(this.counts, counts);
    const ranges = [...this.#done, [first, last] satisfies Range].toSorted(([a], [b]) => a - b);
    this.#done = [];
    for (const range of ranges) {
      const before = this.#done.at(-1);
      if (before !== undefined && before[1] + 1 >= range[0]) before[1] = Math.max(before[1], range[1]);
      else this.#done.push([...range]);
    }
  }

  get doneSeeds(): number {
    return this.#done.reduce((sum, [first, last]) => sum + last - first + 1, 0);
  }

  /** What is left, in pieces of at most `most` seeds. */
  *left(most: number): Generator<Range, undefined> {
    const end = this.from + this.seeds;
    let next = this.from;
    for (const [first, last] of [...this.#done, [end, end] satisfies Range]) {
      for (; next < first; next += most) yield [next, Math.min(next + most, first) - 1];
      next = last + 1;
    }
    return undefined;
  }

  /** The code is what it was when the others were run. */
  notes(code: string): boolean {
    if (!this.code.includes(code)) this.code.push(code);
    return this.code.length === 1;
  }
}

/** Of everything that a run depends on. */
export function fingerprint(): string {
  const hash = createHash("sha256");
  for (const folder of ["../../src/core/", "../../src/testing/", "./"]) {
    const names = readdirSync(new URL(folder, import.meta.url), { encoding: "utf8", recursive: true });
    for (const name of names.toSorted()) {
      if (!name.endsWith(".ts") || name.endsWith(".test.ts")) continue;
      hash.update(name).update(readFileSync(new URL(folder + name, import.meta.url)));
    }
  }
  return hash.digest("hex").slice(0, 12);
}
