/** The demo's receiving process: counts the messages that its consumer is handed, by their numbers. */
import { type Link, ServerSupervisor } from "../../index.ts";
import { decodeMessage, type FromReceiver, nowMs, STATS_EVERY_MS, type Tally, type ToReceiver } from "./messages.ts";
import { EXIT } from "../exit-codes.ts";
import { GapFinder } from "./gaps.ts";
import { openIpc } from "../ipc.ts";
import { stderrLogger } from "../log.ts";
import { openPage } from "./page.ts";

export async function runReceiver({ verbose, page }: { verbose: boolean; page: boolean }): Promise<number> {
  const counter = new Counter();
  const finished = Promise.withResolvers<void>();
  const tell = openIpc<{ order: ToReceiver; note: FromReceiver }>((order) => {
    if (order.type === "finish") finished.resolve();
    else counter.watch(order.sinceMs, (atMs) => tell({ type: "handed", id: order.id, atMs }));
  });
  const server = new ServerSupervisor({
    host: "127.0.0.1",
    port: 0,
    resumeForMs: RESUME_FOR_MS,
    ...(verbose ? { logger: await stderrLogger("demo-receiver") } : {}),
  });
  if (page) void openPage({ receiver: server }, tell);
  const stats = setInterval(() => tell({ type: "stats", received: counter.received, atMs: nowMs() }), STATS_EVERY_MS);
  const arrived = new Promise<Link>((resolve) => {
    server.serve((link) => {
      link.on("state", ({ to, reason }) => tell({ type: "state", to, reason, atMs: nowMs() }));
      link.onMessage((message) => counter.count(message));
      resolve(link);
    });
  });
  const { port } = await server.listen();
  tell({ type: "listening", port });
  const ended = arrived.then((link) => link.closed);
  const report = await Promise.race([ended, finished.promise]);
  // Messages should have come until now.
  if (report === undefined || report.error !== undefined) counter.gaps.ended(nowMs());
  await server.close(report === undefined ? { deadlineMs: 0 } : {});
  clearInterval(stats);
  const { error } = report ?? {};
  tell({ type: "done", tally: counter.tally, gaps: counter.gaps.gaps, error: error?.message });
  return EXIT.ok;
}

/** How many past messages a watch looks through: IPC takes far less time than so many messages take to arrive. */
const REMEMBERED = 32_768;
const FIRST_SIZE = 65_536;
/** Longer than any fault. */
const RESUME_FOR_MS = 7_200_000;

export class Counter {
  #received = 0;
  #distinct = 0;
  #doubled = 0;
  #reordered = 0;
  #highest = -1;
  /** One byte for each message number. */
  #seen = new Uint8Array(FIRST_SIZE);
  /** The last messages, in a ring: when each was sent, and when it was handed out. */
  readonly #sentMs = new Float64Array(REMEMBERED);
  readonly #handedMs = new Float64Array(REMEMBERED);
  readonly gaps: GapFinder = new GapFinder();
  #watches: { readonly sinceMs: number; readonly found: (atMs: number) => void }[] = [];

  get received(): number {
    return this.#received;
  }

  get tally(): Tally {
    return {
      received: this.#received,
      distinct: this.#distinct,
      doubled: this.#doubled,
      reordered: this.#reordered,
    };
  }

  count(message: Buffer, atMs: number = nowMs()): void {
    const { number, sentMs } = decodeMessage(message);
    this.#mark(number);
    const at = this.#received % REMEMBERED;
    this.#sentMs[at] = sentMs;
    this.#handedMs[at] = atMs;
    this.#received++;
    this.gaps.arrived(atMs);
    if (this.#watches.length > 0) this.#answer(sentMs, atMs);
  }

  #mark(number: number): void {
    if (number >= this.#seen.length) {
      const larger = new Uint8Array(Math.max(2 * this.#seen.length, number + 1));
      larger.set(this.#seen);
      this.#seen = larger;
    }
    if (this.#seen[number] === 1) {
      this.#doubled++;
      return;
    }
    this.#seen[number] = 1;
    this.#distinct++;
    if (number < this.#highest) this.#reordered++;
    else this.#highest = number;
  }

  /**
   * Finds the first message that was sent at `sinceMs` or later. It may have been handed out before the parent asked.
   */
  watch(sinceMs: number, found: (atMs: number) => void): void {
    for (let index = Math.max(0, this.#received - REMEMBERED); index < this.#received; index++) {
      const at = index % REMEMBERED;
      if ((this.#sentMs[at] as number) >= sinceMs) return found(this.#handedMs[at] as number);
    }
    this.#watches.push({ sinceMs, found });
  }

  #answer(sentMs: number, atMs: number): void {
    const answered = this.#watches.filter(({ sinceMs }) => sentMs >= sinceMs);
    this.#watches = this.#watches.filter(({ sinceMs }) => sentMs < sinceMs);
    for (const { found } of answered) found(atMs);
  }
}
