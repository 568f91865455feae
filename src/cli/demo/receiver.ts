/** The demo's receiving process: counts the messages that its consumer is handed, by their numbers. */
import { type Link, ServerSupervisor } from "../../index.ts";
import {
  decodeMessage,
  type FromReceiver,
  type Gap,
  nowMs,
  STATS_EVERY_MS,
  type Tally,
  type ToReceiver,
} from "./messages.ts";
import { EXIT } from "../exit-codes.ts";
import { openIpc } from "../ipc.ts";
import { stderrLogger } from "../log.ts";
import { openPage } from "./page.ts";

export async function runReceiver({ verbose, page }: { verbose: boolean; page: boolean }): Promise<number> {
  const counter = new Counter();
  const tell = openIpc<{ order: ToReceiver; note: FromReceiver }>((order) => {
    counter.watch(order.sinceMs, (atMs) => tell({ type: "handed", id: order.id, atMs }));
  });
  const server = new ServerSupervisor({
    host: "127.0.0.1",
    port: 0,
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
  const { error } = await (await arrived).closed;
  await server.close();
  clearInterval(stats);
  tell({ type: "done", tally: counter.tally, error: error?.message });
  return EXIT.ok;
}

/** How many past messages a watch looks through: IPC takes far less time than so many messages take to arrive. */
const REMEMBERED = 32_768;
const FIRST_SIZE = 65_536;
/** Messages come every millisecond: less is no gap. */
const GAP_MS = 20;
const MOST_GAPS = 10_000;

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
  #lastMs = Infinity;
  #gaps: Gap[] = [];
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
      gaps: this.#gaps.toSorted((a, b) => a.fromMs - b.fromMs),
    };
  }

  count(message: Buffer, atMs: number = nowMs()): void {
    const { number, sentMs } = decodeMessage(message);
    this.#mark(number);
    const at = this.#received % REMEMBERED;
    this.#sentMs[at] = sentMs;
    this.#handedMs[at] = atMs;
    this.#received++;
    if (atMs - this.#lastMs >= GAP_MS) this.#addGap({ fromMs: this.#lastMs, ms: atMs - this.#lastMs });
    this.#lastMs = atMs;
    if (this.#watches.length > 0) this.#answer(sentMs, atMs);
  }

  /** Of too many the shorter half is forgotten. */
  #addGap(gap: Gap): void {
    this.#gaps.push(gap);
    if (this.#gaps.length <= MOST_GAPS) return;
    this.#gaps = this.#gaps.toSorted((a, b) => b.ms - a.ms).slice(0, MOST_GAPS / 2);
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
