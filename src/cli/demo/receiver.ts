/** The demo's receiving process: counts the messages that its consumer is handed, by their numbers. */
import { type Link, ServerSupervisor } from "../../index.ts";
import { decodeMessage, type FromReceiver, nowMs, STATS_EVERY_MS, type Tally, type ToReceiver } from "./messages.ts";
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
  const stats = setInterval(() => tell({ type: "stats", received: counter.tally.received }), STATS_EVERY_MS);
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
  #watches: { readonly sinceMs: number; readonly found: (atMs: number) => void }[] = [];

  get tally(): Tally {
    return {
      received: this.#received,
      distinct: this.#distinct,
      doubled: this.#doubled,
      reordered: this.#reordered,
    };
  }

  count(message: Buffer): void {
    const { number, sentMs } = decodeMessage(message);
    const atMs = nowMs();
    this.#mark(number);
    const at = this.#received % REMEMBERED;
    this.#sentMs[at] = sentMs;
    this.#handedMs[at] = atMs;
    this.#received++;
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
