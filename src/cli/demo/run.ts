/**
 * A run of faults: traffic, and a path that this process breaks again and again. The traffic is that of a sender and a
 * receiver, each a process of its own, whose messages are all accounted for at the end; or of other programs.
 *
 * A recovery is measured from the path's healing to the moment when the first message that was sent after the healing
 * is handed to the receiver's consumer. So earlier messages, from a kernel's buffer, are not taken for a recovery; and
 * as messages come in order, all those that had waited were handed out before. A cut is healed at once, as the path
 * accepts connections again: the healing of a cut is the cut. A cut after N bytes counts from when the traffic has
 * noticed the reset. All times are of the system's monotonic clock, see nowMs().
 */
import { setTimeout as sleep } from "node:timers/promises";
import { EXIT } from "../exit-codes.ts";
import type { Fault, FaultSource, Outcome } from "./faults.ts";
import { nowMs } from "./messages.ts";
import { type FaultPath, openRelayPath, type PathTarget } from "./path.ts";
import { openToxiproxyPath } from "./path-toxiproxy.ts";
import { type DemoResult, describeSeed, FaultBook, isWhole, type Strike } from "./report.ts";
import type { Sample } from "./samples.ts";
import type { Ends, Traffic } from "./traffic.ts";
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
  readonly traffic: Traffic;
}

/** A run that has come to its end. Times are of the system's monotonic clock. */
export interface Done {
  readonly result: DemoResult;
  readonly ends: Ends;
  /** The last 10,000 faults. */
  readonly strikes: readonly Strike[];
  /** How many messages, or bytes, had arrived when. */
  readonly samples: readonly Sample[];
  /** The path's description. */
  readonly what: string;
  readonly startMs: number;
  readonly endMs: number;
}

/** Answers the exit code. `finish` is called when all is counted that can be, also where the run has failed. */
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
  readonly #traffic: Traffic;
  /** Why the run has failed. */
  readonly #errors: string[] = [];
  /**
   * Aborted when no further fault is to be made: the time is up, all messages are sent, or the user has interrupted.
   */
  readonly #over = new AbortController();
  /** Aborted when nothing is to be waited for any more, either. */
  readonly #hurry = new AbortController();
  /** Aborted when all messages are sent. */
  readonly #exhausted = new AbortController();
  /** Aborted when the traffic has failed, with its error. */
  readonly #broken = new AbortController();
  #exitCode: number = EXIT.ok;
  #view: View;
  /** When the first had arrived. */
  #startMs = nowMs();

  constructor(options: RunOptions, finish: (done: Done) => void) {
    this.#options = options;
    this.#finish = finish;
    this.#traffic = options.traffic;
    // Signals, as a run has many waits: each race with a promise that never settles would be remembered by it.
    void this.#traffic.exhausted.then(() => this.#exhausted.abort());
    this.#traffic.failed.catch((error: unknown) => this.#broken.abort(error));
    // With --json stdout gets the result only.
    const stream = options.json ? process.stderr : process.stdout;
    this.#view = new PlainView((text) => void stream.write(text));
  }

  /** The first call ends the run early, but in order; the second ends it at once. */
  end(exitCode: number): void {
    if (this.#hurry.signal.aborted && exitCode !== EXIT.brokenPipe) {
      this.#traffic.kill();
      process.exit(exitCode);
    }
    this.#exitCode = exitCode;
    this.#over.abort();
    this.#hurry.abort();
  }

  async toTheEnd(): Promise<number> {
    const { seconds, seed } = this.#options;
    let path: FaultPath | undefined;
    try {
      path = await this.#openPath(await this.#orFailure(this.#traffic.target));
      const what = path.what;
      this.#view.say(`${seconds} s of faults through ${what}, ${describeSeed(seed)}`);
      await this.#breakAndHeal(path).catch((error: Error) => this.#failed(error.message));
      const ends = await this.#traffic.finish();
      const endMs = nowMs();
      this.#view.close();
      const errors = [...new Set([...this.#errors, ...ends.errors])];
      const result = this.#book.result(ends, seed);
      for (const error of errors) process.stderr.write(`resplice: ${error}\n`);
      if (errors.length > 0 || !isWhole(result)) this.#exitCode = EXIT.failed;
      const { strikes } = this.#book;
      const samples = this.#traffic.samples.all;
      this.#finish({ result, ends: { ...ends, errors }, strikes, samples, what, startMs: this.#startMs, endMs });
      return this.#exitCode;
    } finally {
      this.#view.close();
      this.#traffic.kill();
      await path?.close();
    }
  }

  #openPath(target: PathTarget): Promise<FaultPath> {
    const { listenPort, watch } = this.#traffic;
    const options = { target, listenPort, watch };
    if (!this.#options.toxiproxy) return openRelayPath(options);
    return openToxiproxyPath(options, this.#options.plan.nextEnding(), (line) => this.#view.say(line));
  }

  /** Rejects when the traffic fails before that, or has failed. */
  async #orFailure<T>(waited: Promise<T>): Promise<T> {
    const { signal } = this.#broken;
    const done = new AbortController();
    const failure = aborted(signal, done.signal).then((): never => {
      throw signal.reason;
    });
    try {
      return await Promise.race([waited, failure]);
    } finally {
      done.abort();
    }
  }

  /** The path is open: the traffic begins. Answers whether something has arrived. */
  async #begin({ port }: FaultPath): Promise<boolean> {
    const { messages, seconds, json } = this.#options;
    const traffic = this.#traffic;
    const text = await this.#orFailure(traffic.beginning(port));
    if (text !== undefined) this.#view.say(text);
    if (traffic.live !== undefined && process.stdout.isTTY && !json) {
      this.#view = new LiveView((line) => void process.stdout.write(line), traffic.live, this.#book);
    }
    const perSecond = messages === undefined ? MESSAGES_PER_SECOND : messages / seconds;
    const first = await this.#inTime(traffic.begin(port, perSecond, messages), traffic.beginsWithinMs);
    if (first === "too-late") this.#failed(`nothing has arrived within ${traffic.beginsWithinMs / 1_000} s`);
    return first !== "too-late";
  }

  async #breakAndHeal(path: FaultPath): Promise<void> {
    const { signal } = this.#over;
    if (!(await this.#begin(path))) return;
    this.#startMs = nowMs();
    this.#view.start();
    // With --messages the run ends when they are sent, otherwise when the time is up; the last fault may take longer.
    if (this.#options.messages === undefined) {
      setTimeout(() => this.#over.abort(), this.#options.seconds * 1_000).unref();
    } else {
      void aborted(this.#exhausted.signal, signal).then(() => this.#over.abort());
    }
    for (;;) {
      const step = this.#options.plan.take();
      if (step === undefined) return;
      const { calmMs, fault } = step;
      await this.#orFailure(sleep(calmMs, undefined, { signal }).catch(() => {}));
      if (signal.aborted) return;
      this.#view.begin(fault);
      this.#traffic.striking();
      let madeMs = nowMs();
      const cut = (atMs: number): void => {
        madeMs = atMs;
      };
      // What the run fails at has no recovery either.
      const outcome = await this.#orFailure(this.#strike(path, fault, cut)).catch((error: Error) => {
        this.#failed(error.message);
        return "none" as const;
      });
      if (outcome === "did-not-happen") {
        this.#view.say(`${describeFault(fault)}: so many bytes did not pass`);
        continue;
      }
      this.#book.made({ fault, madeMs, overMs: nowMs(), outcome });
      this.#view.end(fault, outcome);
      if (outcome === "none") return;
    }
  }

  /**
   * Makes the fault, ends it, and waits until messages flow again. Answers how long that took after the healing. `onCut`:
   * a fault that waits for bytes happens now.
   */
  async #strike(path: FaultPath, fault: Fault, onCut: (atMs: number) => void): Promise<Outcome | "did-not-happen"> {
    const lost = fault.kind === "cut-after-bytes" ? this.#traffic.lost(fault.bytes) : undefined;
    let healedMs = await path.make(fault, this.#options.plan.nextEnding());
    if (lost !== undefined) {
      const lostMs = await this.#inTime(lost);
      // If no messages are left to send, so many bytes may never pass.
      if (lostMs === "over" || lostMs === "idle") {
        await path.heal(fault);
        return "did-not-happen";
      }
      if (lostMs === "too-late") return this.#giveUp(`${describeFault(fault)} has cut nothing`);
      healedMs = lostMs;
      onCut(lostMs);
    } else if ("holdMs" in fault) {
      await sleep(fault.holdMs, undefined, { signal: this.#hurry.signal }).catch(() => {});
      healedMs = nowMs();
    }
    await path.heal(fault);
    const arrivedMs = await this.#inTime(this.#traffic.arrivedSince(healedMs));
    if (arrivedMs === "over" || arrivedMs === "idle") return "not-measured";
    // Acceptance proves the other direction, too: with a black hole only there, messages arrive all the time.
    const flushed = arrivedMs === "too-late" ? arrivedMs : await this.#inTime(this.#traffic.flushed());
    if (arrivedMs === "too-late" || flushed === "too-late") {
      return this.#giveUp(`no recovery from ${describeFault(fault)}`);
    }
    return this.#traffic.isStoppedBy(fault) ? arrivedMs - healedMs : "never-stopped";
  }

  /** Waits for at most `ms`. "over": all messages are sent, or the user has interrupted. */
  async #inTime<T>(waited: Promise<T>, ms = RECOVERY_MS_MAX): Promise<T | "over" | "too-late"> {
    const timer = new AbortController();
    const late = sleep(ms, "too-late" as const, { signal: timer.signal }).catch(() => "over" as const);
    const over = Promise.race([this.#hurry, this.#exhausted].map(({ signal }) => aborted(signal, timer.signal))).then(
      () => "over" as const,
    );
    try {
      return await this.#orFailure(Promise.race([waited, over, late]));
    } finally {
      timer.abort();
    }
  }

  #giveUp(what: string): "none" {
    this.#failed(`${what} within ${RECOVERY_MS_MAX / 1_000} s`);
    return "none";
  }

  #failed(why: string): void {
    this.#errors.push(why);
  }
}

/** Resolves when the signal is aborted, or never if that is not until then. */
function aborted(signal: AbortSignal, until: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true, signal: until });
  });
}
