/** Many seeds on all processors: who runs which, what was found, and what is said of it meanwhile. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { ProgressLine } from "../../scripts/progress.ts";
import type { Progress } from "./progress.ts";
import type { FailureFound, Work, WorkDone } from "./worker.ts";

/** So many at a time: about a quarter of a second. */
const SEEDS_AT_A_TIME = 50;
const SAVES_EVERY_MS = 10_000;

export interface CampaignOptions {
  workers: number;
  out: string;
  /** Called now and then, and at the end. */
  save: () => void;
  print: (text: string) => void;
}

export class Campaign {
  readonly #progress: Progress;
  readonly #options: CampaignOptions;
  readonly #left: Iterator<[number, number], undefined>;
  readonly #beganMs = performance.now();
  readonly #doneBefore: number;
  #stopped = false;
  #savedMs = performance.now();
  readonly #line = new ProgressLine();

  constructor(progress: Progress, options: CampaignOptions) {
    this.#progress = progress;
    this.#options = options;
    this.#doneBefore = progress.doneSeeds;
    this.#left = progress.left(SEEDS_AT_A_TIME);
  }

  /** What is begun is ended, and nothing more begun. */
  stop(): void {
    this.#stopped = true;
  }

  get isStopped(): boolean {
    return this.#stopped;
  }

  async run(): Promise<void> {
    const { workers, print } = this.#options;
    const { seeds, from } = this.#progress;
    print(`seeds ${from} to ${from + seeds - 1}, ${workers} at a time, ${seeds - this.#doneBefore} to go\n`);
    this.#say();
    try {
      await Promise.all(Array.from({ length: workers }, () => this.#work()));
    } finally {
      this.#line.end();
    }
    this.#options.save();
  }

  async #work(): Promise<void> {
    const worker = new Worker(new URL("worker.ts", import.meta.url));
    try {
      for (let next = this.#next(); next !== undefined; next = this.#next()) {
        const [first, last] = next;
        const known = this.#progress.failed.map(({ violation }) => violation);
        const done = await ask(worker, { first, last, twice: this.#progress.twice, known });
        this.#onDone(done);
      }
    } finally {
      await worker.terminate();
    }
  }

  #next(): [number, number] | undefined {
    if (this.#stopped) return undefined;
    const { done, value } = this.#left.next();
    return done === true ? undefined : value;
  }

  #onDone({ first, last, counts, failures }: WorkDone): void {
    this.#progress.finished(first, last, counts);
    for (const failure of failures) this.#onFailure(failure);
    const nowMs = performance.now();
    if (nowMs - this.#savedMs >= SAVES_EVERY_MS) {
      this.#savedMs = nowMs;
      this.#options.save();
    }
    this.#say();
  }

  #onFailure({ seed, violation, message, schedule, runs, trace }: FailureFound): void {
    const { failed } = this.#progress;
    const isKnown = failed.some((each) => each.violation === violation && each.file !== undefined);
    if (schedule === undefined || isKnown) {
      failed.push({ seed, violation, file: undefined });
      this.#tell(`seed ${seed} fails as another did: ${message.split(";")[0]}`);
      return;
    }
    const file = writeSchedule(this.#options.out, `seed-${seed}`, schedule);
    failed.push({ seed, violation, file });
    const { faults } = schedule;
    this.#tell(
      `\n${trace.join("\n")}\nseed ${seed} fails: ${message}\n` +
        `shrunk in ${runs} runs to ${faults.length} faults:\n${faults.map((fault) => `  ${JSON.stringify(fault)}`).join("\n")}\n` +
        `replay: npm run sim -- --schedule ${file} --trace\n  or as it was drawn: npm run sim -- --seed ${seed} --trace\n`,
    );
  }

  #tell(text: string): void {
    this.#line.clear();
    this.#options.print(`${text}\n`);
  }

  #say(): void {
    const { doneSeeds, seeds, failed } = this.#progress;
    this.#line.at(doneSeeds, seeds, () => {
      const perSecond = (1_000 * (doneSeeds - this.#doneBefore)) / (performance.now() - this.#beganMs);
      const done = `${doneSeeds.toLocaleString("en")} of ${seeds.toLocaleString("en")} seeds`;
      return `${done}, ${perSecond.toFixed(0)} a second, ${failed.length} failed`;
    });
  }
}

export function writeSchedule(folder: string, name: string, schedule: object): string {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${name}.json`);
  writeFileSync(file, `${JSON.stringify(schedule, undefined, 1)}\n`);
  return file;
}

function ask(worker: Worker, work: Work): Promise<WorkDone> {
  return new Promise((resolve, reject) => {
    worker.once("error", reject);
    worker.once("message", (done: WorkDone) => {
      worker.off("error", reject);
      resolve(done);
    });
    worker.postMessage(work);
  });
}
