/** A peer, from the test's side: a process on one of the hosts, what it has said, and orders to it. */
import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { type Host, kill } from "./hosts.ts";
import type { Order, Report, Role } from "./lines.ts";

const PROGRAM = fileURLToPath(new URL("peer.ts", import.meta.url));

type Answer = Extract<Report, { is: "answer" }>;
export type Transition = Extract<Report, { is: "log" }> & { to: string; reason: string };

export class PeerProcess {
  readonly reports: Report[] = [];
  readonly #child: ChildProcessWithoutNullStreams;
  #complaints = "";
  #orders = 0;
  #over = false;
  #waits: Array<() => void> = [];

  constructor(host: Host, role: Role) {
    this.#child = host.spawn([process.execPath, PROGRAM, JSON.stringify(role)]);
    const { stdin, stdout, stderr } = this.#child;
    stdin.on("error", () => {});
    stderr.on("data", (chunk: Buffer) => (this.#complaints += String(chunk)));
    createInterface({ input: stdout }).on("line", (line) => {
      this.reports.push(JSON.parse(line) as Report);
      this.#wake();
    });
    this.#child.on("close", () => {
      this.#over = true;
      this.#wake();
    });
  }

  #wake(): void {
    for (const wake of this.#waits.splice(0)) wake();
  }

  /** The first report from `from` on that fits, as soon as it is there. */
  async until<T extends Report>(what: string, fits: (report: Report) => report is T, from?: number): Promise<T>;
  async until(what: string, fits: (report: Report) => boolean, from?: number): Promise<Report>;
  async until(what: string, fits: (report: Report) => boolean, from = 0): Promise<Report> {
    for (let at = from; ;) {
      for (; at < this.reports.length; at++) {
        const report = this.reports[at] as Report;
        if (fits(report)) return report;
      }
      if (this.#over) throw new Error(`it ended without ${what}: ${this.#complaints}`);
      await new Promise<void>((resolve) => this.#waits.push(resolve));
    }
  }

  /** Resolves when it was obeyed. */
  async order(order: Order): Promise<Answer> {
    const to = this.#orders++;
    const { length } = this.reports;
    this.#child.stdin.write(`${JSON.stringify(order)}\n`);
    const isAnswer = (report: Report): report is Answer => report.is === "answer" && report.to === to;
    return this.until(`an answer to ${order.order}`, isAnswer, length);
  }

  /** What is said from now on: where to look for what a fault brings. */
  get now(): number {
    return this.reports.length;
  }

  /** The link's next transition to that state. */
  async becomes(state: string, options: { reason?: string; from?: number } = {}): Promise<Transition> {
    const { reason, from = this.now } = options;
    const fits = (report: Report): report is Transition =>
      isTransition(report) && report.to === state && (reason === undefined || report.reason === reason);
    return this.until(`becoming ${state}`, fits, from);
  }

  /** Resolves when it has become so as often. */
  async times(count: number, state: string, { reason, from }: { reason: string; from: number }): Promise<void> {
    for (let left = count, at = from; left > 0; left--) {
      const transition = await this.becomes(state, { reason, from: at });
      at = this.reports.indexOf(transition) + 1;
    }
  }

  /** Resolves when so many messages have arrived from that peer. */
  async has(from: string, count: number): Promise<void> {
    if (count === 0) return;
    await this.until(
      `message ${count - 1}`,
      (report) => report.is === "received" && report.from === from && report.number >= count - 1,
    );
  }

  /** Resolves when so many messages have arrived from that peer, on any of its links. */
  async counts(from: string, count: number): Promise<void> {
    let left = count;
    await this.until(`${count} messages`, (report) => report.is === "received" && report.from === from && --left <= 0);
  }

  /** What has arrived from that peer, in the order in which it did. */
  received(from: string): number[] {
    return this.reports.flatMap((each) => (each.is === "received" && each.from === from ? [each.number] : []));
  }

  /** What became of the link, as an operator reads it in the log. */
  get transitions(): Transition[] {
    return this.reports.filter(isTransition);
  }

  stop(): void {
    this.#child.kill("SIGSTOP");
  }

  go(): void {
    this.#child.kill("SIGCONT");
  }

  kill(): Promise<void> {
    return kill(this.#child);
  }
}

function isTransition(report: Report): report is Transition {
  return report.is === "log" && report.event === "link.state";
}
