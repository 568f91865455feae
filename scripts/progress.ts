/**
 * How far a long run is, and how long it will still take: one line on a terminal, written over and over; elsewhere, as
 * in a log of CI, a line a minute. On stderr, since stdout has the results.
 */

/** Where it is shown. process.stderr is one. */
export interface Screen {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

const TERMINAL_MS = 200;
const ELSEWHERE_MS = 60_000;
/** So that the line goes on where nothing happens for long, on a terminal and elsewhere. */
const TICK_MS = 1_000;
const CLEAR = "\r\u001B[K";

interface Point {
  ms: number;
  done: number;
  /** Undefined: nobody knows before anything is done. */
  leftMs: number | undefined;
  text: () => string;
}

export class ProgressLine {
  readonly #screen: Screen;
  readonly #everyMs: number;
  #began: { ms: number; done: number } | undefined;
  #at: Point | undefined;
  #saidMs: number = performance.now();
  #timer: NodeJS.Timeout | undefined;

  constructor(screen: Screen = process.stderr) {
    this.#screen = screen;
    this.#everyMs = screen.isTTY === true ? TERMINAL_MS : ELSEWHERE_MS;
  }

  /**
   * So much is done, of so much. Both are of any unit in which the run is about as fast all the time; the first call says
   * what was done before it began. `text` is called when a line is due.
   */
  at(done: number, of: number, text: () => string): void {
    const ms = performance.now();
    this.#began ??= { ms, done };
    const sinceBegin = done - this.#began.done;
    const leftMs = sinceBegin > 0 ? ((ms - this.#began.ms) * (of - done)) / sinceBegin : undefined;
    // What is no news does not make it look slower.
    this.#at = this.#at?.done === done ? { ...this.#at, text } : { ms, done, leftMs, text };
    // Keeps no process alive.
    this.#timer ??= setInterval(() => this.#say(), TICK_MS).unref();
    this.#say();
  }

  /** Takes the line off the terminal: something else is to be printed. It comes back with the next one that is due. */
  clear(): void {
    if (this.#screen.isTTY === true) this.#screen.write(CLEAR);
  }

  /** There is no more to come. */
  end(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.clear();
  }

  #say(): void {
    const nowMs = performance.now();
    if (this.#at === undefined || nowMs - this.#saidMs < this.#everyMs) return;
    this.#saidMs = nowMs;
    const line = `${this.#times(this.#at, nowMs)}: ${this.#at.text()}`;
    const { isTTY, columns } = this.#screen;
    // A line that is wrapped could not be written over. A terminal may not know its width: it is 0 or undefined then.
    const width = (columns || 80) - 1;
    this.#screen.write(isTTY === true ? `${CLEAR}${line.slice(0, width)}` : `${line}\n`);
  }

  /** They come first: on a narrow terminal the rest is cut off. */
  #times({ ms, leftMs }: Point, nowMs: number): string {
    const gone = duration(nowMs - (this.#began?.ms ?? nowMs));
    if (leftMs === undefined) return gone;
    return `${gone}, about ${duration(Math.max(0, leftMs - (nowMs - ms)))} left`;
  }
}

export function duration(ms: number): string {
  const seconds = Math.round(ms / 1_000);
  if (seconds < 90) return `${seconds} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
