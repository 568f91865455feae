/**
 * A run of faults: a sender and a receiver, each a process of its own, and between them a path that this process breaks
 * again and again. At the end every message is accounted for.
 *
 * A recovery is measured from the path's healing to the moment when the first message that was sent after the healing
 * is handed to the receiver's consumer. So earlier messages, from a kernel's buffer, are not taken for a recovery; and
 * as messages come in order, all those that had waited were handed out before. A cut is healed at once, as the path
 * accepts connections again: the healing of a cut is the cut. This process does not see a cut after N bytes: it counts
 * from when the first of the two ends has noticed the reset. All times are of the system's monotonic clock, see
 * nowMs().
 */
import { setTimeout as sleep } from "node:timers/promises";
import { EXIT } from "../exit-codes.ts";
import { type Fault, type FaultSource, stopsMessages } from "./faults.ts";
import { nowMs } from "./messages.ts";
import { type FaultPath, openRelayPath } from "./path.ts";
import { openToxiproxyPath } from "./path-toxiproxy.ts";
import { DemoProcesses, type Ends, type Sample } from "./processes.ts";
import { type DemoResult, describeSeed, FaultBook, isWhole, type Outcome, type Strike } from "./report.ts";
import { describeFault, LiveView, PlainView, type View } from "./view.ts";

const MESSAGES_PER_SECOND = 1_000;
/** After so long, a link is taken not to recover at all. */
const RECOVERY_MS_MAX = 30_000;

export interface RunOptions {
  readonly plan: FaultSource;
  /** That the faults are drawn from. Null: they stand in a schedule. */
  readonly seed: number | null;
  /** Undefined: as many as the usual rate gives in that time. */
  readonly messages: number | undefined;
  readonly seconds: number;
  readonly toxiproxy: boolean;
  /** The result is all that goes to stdout. */
  readonly json: boolean;
  readonly verbose: boolean;
  /** Both processes serve a live page. */
  readonly page: boolean;
}

/** A run that has come to its end. Times are of the system's monotonic clock. */
export interface Done {
  readonly result: DemoResult;
  readonly ends: Ends;
  /** The last 10,000 faults. */
  readonly strikes: readonly Strike[];
  /** How many messages had arrived when. */
  readonly samples: readonly Sample[];
  /** The path's description. */
  readonly what: string;
  readonly startMs: number;
  readonly endMs: number;
}

/** Answers the exit code. `finish` is called when all is counted, also where messages were lost. */
export async function runFaults(options: RunOptions, finish: (done: Done) => void): Promise<number> {
  const run = new Run(options, finish);
  const onInterrupt = (): void => run.end(EXIT.interrupted);
  const onTerminate = (): void => run.end(EXIT.terminated);
  const onBrokenPipe = (): void => run.end(EXIT.brokenPipe);
  process.on("SIGINT", onInterrupt);
  process.on("SIGTERM", onTerminate);
  process.stdout.on("error", onBrokenPipe);
  try {
    return await run.toTheEnd();
  } finally {
    process.off("SIGINT", onInterrupt);
    process.off("SIGTERM", onTerminate);
    process.stdout.off("error", onBrokenPipe);
  }
}

class Run {
  readonly #options: RunOptions;
  readonly #finish: (done: Done) => void;
  readonly #book = new FaultBook();
  readonly #processes: DemoProcesses;
  /**
   * Aborted when no further fault is to be made: the time is up, all messages are sent, or the user has interrupted.
   */
  readonly #over = new AbortController();
  /** Aborted when nothing is to be waited for any more, either. */
  readonly #hurry = new AbortController();
  #exitCode: number = EXIT.ok;
  #view: View;

  constructor(options: RunOptions, finish: (done: Done) => void) {
    this.#options = options;
    this.#finish = finish;
    this.#processes = new DemoProcesses(options);
    // With --json stdout gets the result only.
    const stream = options.json ? process.stderr : process.stdout;
    this.#view = new PlainView((text) => void stream.write(text));
  }

  /** The first call ends the run early, but in order; the second ends it at once. */
  end(exitCode: number): void {
    if (this.#hurry.signal.aborted && exitCode !== EXIT.brokenPipe) {
      this.#processes.kill();
      process.exit(exitCode);
    }
    this.#exitCode = exitCode;
    this.#over.abort();
    this.#hurry.abort();
  }

  async toTheEnd(): Promise<number> {
    const { messages, seconds, seed, json, page } = this.#options;
    const startMs = nowMs();
    let path: FaultPath | undefined;
    try {
      path = await this.#openPath(await this.#orFailure(this.#processes.listening));
      this.#view.say(`${seconds} s of faults through ${path.what}, ${describeSeed(seed)}`);
      if (page) {
        const [sender, receiver] = await this.#orFailure(this.#processes.pages);
        const at = `127.0.0.1:${path.port}`;
        this.#view.say(`the sender, live: ${sender}\nthe receiver, live: ${receiver}\nthe path between them: ${at}`);
      }
      if (process.stdout.isTTY && !json) {
        this.#view = new LiveView((text) => void process.stdout.write(text), this.#processes.live, this.#book);
      }
      this.#processes.open(path.port, messages === undefined ? MESSAGES_PER_SECOND : messages / seconds, messages);
      await this.#breakAndHeal(path);
      const ends = await this.#processes.finish();
      this.#view.close();
      const result = this.#book.result(ends, seed);
      for (const error of ends.errors) process.stderr.write(`resplice: ${error}\n`);
      if (ends.errors.length > 0 || !isWhole(result)) this.#exitCode = EXIT.failed;
      const { samples } = this.#processes;
      const { strikes } = this.#book;
      this.#finish({ result, ends, strikes, samples: samples.all, what: path.what, startMs, endMs: nowMs() });
      return this.#exitCode;
    } finally {
      this.#view.close();
      this.#processes.kill();
      await path?.close();
    }
  }

  #openPath(receiverPort: number): Promise<FaultPath> {
    if (!this.#options.toxiproxy) return openRelayPath(receiverPort);
    return openToxiproxyPath(receiverPort, this.#options.plan.nextEnding(), (line) => this.#view.say(line));
  }

  #orFailure<T>(waited: Promise<T>): Promise<T> {
    return Promise.race([waited, this.#processes.failed]);
  }

  async #breakAndHeal(path: FaultPath): Promise<void> {
    const { signal } = this.#over;
    const first = await this.#inTime(this.#processes.handedSince(nowMs()));
    if (first === "too-late") return this.#giveUp("not one message has arrived");
    // With --messages the run ends when they are sent, otherwise when the time is up; the last fault may take longer.
    if (this.#options.messages === undefined) {
      setTimeout(() => this.#over.abort(), this.#options.seconds * 1_000).unref();
    } else {
      void this.#processes.exhausted.then(() => this.#over.abort());
    }
    for (;;) {
      const step = this.#options.plan.take();
      if (step === undefined) return;
      const { calmMs, fault } = step;
      await this.#orFailure(sleep(calmMs, undefined, { signal }).catch(() => {}));
      if (signal.aborted) return;
      this.#view.begin(fault);
      const madeMs = nowMs();
      const outcome = await this.#orFailure(this.#strike(path, fault));
      if (outcome === "too-late") return this.#giveUp(`no recovery from ${describeFault(fault)}`);
      if (outcome === "did-not-happen") return;
      this.#book.made({ fault, madeMs, overMs: nowMs(), outcome });
      this.#view.end(fault, outcome);
    }
  }

  /** Makes the fault, ends it, and waits until messages flow again. Answers how long that took after the healing. */
  async #strike(path: FaultPath, fault: Fault): Promise<Outcome | "too-late" | "did-not-happen"> {
    const lost = fault.kind === "cut-after-bytes" ? this.#processes.lost() : undefined;
    let healedMs = await path.make(fault, this.#options.plan.nextEnding());
    if (lost !== undefined) {
      const lostMs = await this.#inTime(lost);
      // If no messages are left to send, so many bytes may never pass.
      if (typeof lostMs === "string") return lostMs === "over" ? "did-not-happen" : lostMs;
      healedMs = lostMs;
    } else if ("holdMs" in fault) {
      await sleep(fault.holdMs, undefined, { signal: this.#hurry.signal }).catch(() => {});
      healedMs = nowMs();
    }
    await path.heal(fault);
    const handedMs = await this.#inTime(this.#processes.handedSince(healedMs));
    if (typeof handedMs === "string") return handedMs === "over" ? "not-measured" : handedMs;
    // Acceptance proves the other direction, too: with a black hole only there, messages arrive all the time.
    const flushed = await this.#inTime(this.#processes.flushed());
    if (flushed === "too-late") return flushed;
    return stopsMessages(fault) ? handedMs - healedMs : "never-stopped";
  }

  /** Waits for at most RECOVERY_MS_MAX. "over": all messages are sent, or the user has interrupted. */
  async #inTime<T>(waited: Promise<T>): Promise<T | "over" | "too-late"> {
    const { signal } = this.#hurry;
    const timer = new AbortController();
    const late = sleep(RECOVERY_MS_MAX, "too-late" as const, { signal: timer.signal }).catch(() => "over" as const);
    const over = new Promise<"over">((resolve) => {
      if (signal.aborted) resolve("over");
      else signal.addEventListener("abort", () => resolve("over"), { once: true, signal: timer.signal });
      void this.#processes.exhausted.then(() => resolve("over"));
    });
    try {
      return await this.#orFailure(Promise.race([waited, over, late]));
    } finally {
      timer.abort();
    }
  }

  #giveUp(what: string): void {
    this.#view.say(`${what} within ${RECOVERY_MS_MAX / 1_000} s: giving up`);
    this.#exitCode = EXIT.failed;
  }
}
