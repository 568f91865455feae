/**
 * The demo's display while it runs: on a terminal, lines that are redrawn in place; else one line for each fault. They fit
 * into 60 columns.
 */
import { type Fault, FAULT_KINDS, type Outcome } from "./faults.ts";
import type { Live } from "./traffic.ts";
import type { FaultBook } from "./report.ts";
import { formatBytes, formatCount, formatMs } from "../words.ts";

export interface View {
  /** The first has arrived: times are from now on. */
  start(): void;
  /** The fault is being made. */
  begin(fault: Fault): void;
  /** Messages flow again. */
  end(fault: Fault, outcome: Outcome): void;
  /** Shows a line for people. */
  say(line: string): void;
  close(): void;
}

const REDRAW_EVERY_MS = 100;
/** The rate is taken over so many redraws. */
const RATE_SAMPLES = 10;

/** One line for each fault. */
export class PlainView implements View {
  readonly #write: (text: string) => void;
  #startMs = performance.now();

  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  start(): void {
    this.#startMs = performance.now();
  }

  begin(): void {}

  end(fault: Fault, outcome: Outcome): void {
    this.say(faultLine(performance.now() - this.#startMs, describeFault(fault), outcome));
  }

  say(line: string): void {
    this.#write(`${line}\n`);
  }

  close(): void {}
}

/** A handful of lines, redrawn in place. */
export class LiveView implements View {
  readonly #write: (text: string) => void;
  readonly #live: Live;
  readonly #book: FaultBook;
  readonly #timer: NodeJS.Timeout;
  #startMs = performance.now();
  #samples: { atMs: number; received: number }[] = [];
  #fault = "none yet";
  #outcome = "";
  #recovery = "-";
  #lines = 0;

  constructor(write: (text: string) => void, live: Live, book: FaultBook) {
    this.#write = write;
    this.#live = live;
    this.#book = book;
    this.#timer = setInterval(() => this.#draw(), REDRAW_EVERY_MS);
  }

  start(): void {
    this.#startMs = performance.now();
  }

  begin(fault: Fault): void {
    this.#fault = describeFault(fault);
    this.#outcome = "...";
  }

  end(fault: Fault, outcome: Outcome): void {
    this.#fault = describeFault(fault);
    this.#outcome = describeOutcome(outcome);
    if (typeof outcome === "number") this.#recovery = `${formatMs(outcome)} after the path had healed`;
  }

  say(line: string): void {
    this.#erase();
    this.#write(`${line}\n`);
    this.#draw();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#erase();
  }

  #draw(): void {
    const { state, sent, received, inFlightBytes, rttMs } = this.#live;
    const counts = FAULT_KINDS.map((kind) => `${kind} ${this.#book.count(kind)}`);
    const seconds = ((performance.now() - this.#startMs) / 1_000).toFixed(1);
    const lines = [
      `link           ${state}, ${seconds} s`,
      `messages       ${formatCount(this.#rate())} a second`,
      `               sent ${formatCount(sent)}, received ${formatCount(received)}`,
      `not accepted   ${formatBytes(inFlightBytes)}`,
      `round trip     ${rttMs === undefined ? "-" : `${rttMs.toFixed(1)} ms`}`,
      `faults         ${formatCount(this.#book.total)}`,
      `               ${counts.slice(0, 3).join(", ")}`,
      `               ${counts.slice(3, 5).join(", ")}`,
      `               ${counts.slice(5).join(", ")}`,
      `last fault     ${this.#fault}`,
      `               ${this.#outcome}`,
      `last recovery  ${this.#recovery}`,
    ];
    // Lines are cut to the terminal's width: a line that wraps would take two, and going up would go wrong.
    const width = (process.stdout.columns || 80) - 1;
    const text = lines.map((line) => `${line.slice(0, width)}\u001B[K\n`).join("");
    this.#write(`${this.#up()}${text}`);
    this.#lines = lines.length;
  }

  #rate(): number {
    const now = { atMs: performance.now(), received: this.#live.received };
    this.#samples.push(now);
    if (this.#samples.length > RATE_SAMPLES) this.#samples.shift();
    const first = this.#samples[0] ?? now;
    const seconds = (now.atMs - first.atMs) / 1_000;
    return seconds === 0 ? 0 : Math.round((now.received - first.received) / seconds);
  }

  #up(): string {
    return this.#lines === 0 ? "" : `\u001B[${this.#lines}A`;
  }

  #erase(): void {
    if (this.#lines > 0) this.#write(`${this.#up()}\u001B[J`);
    this.#lines = 0;
  }
}

/** At most 60 characters. `fault`: as describeFault() has it. */
export function faultLine(atMs: number, fault: string, outcome: Outcome): string {
  return `${(atMs / 1_000).toFixed(1).padStart(6)} s ${fault.padEnd(28)} ${describeOutcome(outcome)}`;
}

function describeOutcome(outcome: Outcome): string {
  switch (outcome) {
    case "never-stopped":
      return "never stopped";
    case "not-measured":
      return "not measured";
    case "none":
      return "no recovery";
    default:
      return `recovered in ${formatMs(outcome)}`;
  }
}

/** At most 28 characters. */
export function describeFault(fault: Fault): string {
  switch (fault.kind) {
    case "fin":
    case "rst":
      return fault.kind;
    case "cut-after-bytes":
      return `${fault.kind} ${formatCount(fault.bytes)}`;
    case "black-hole":
    case "stall":
    case "refuse":
      return `${fault.kind} ${formatMs(fault.holdMs)}`;
    case "one-way-black-hole":
      return `${fault.kind} ${fault.direction}`;
    case "latency":
      return `${fault.kind} ${formatMs(fault.delayMs)} for ${formatMs(fault.holdMs)}`;
  }
}
