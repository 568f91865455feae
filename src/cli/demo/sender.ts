/** The demo's sending process: sends numbered messages at a steady rate over one durable link, as its parent orders. */
import { ConnectionManager, type Link } from "../../index.ts";
import { encodeMessage, type FromSender, nowMs, STATS_EVERY_MS, type ToSender } from "./messages.ts";
import { EXIT } from "../exit-codes.ts";
import { stderrLogger } from "../log.ts";
import { openIpc } from "../ipc.ts";
import { openPage } from "./page.ts";

const TICK_MS = 5;
const CLOSE_MS = 30_000;

export async function runSender({ verbose, page }: { verbose: boolean; page: boolean }): Promise<number> {
  const manager = new ConnectionManager(verbose ? { logger: await stderrLogger("demo-sender") } : {});
  let sender: Sender | undefined;
  await new Promise<void>((resolve) => {
    const tell = openIpc<{ order: ToSender; note: FromSender }>((order) => {
      switch (order.type) {
        case "open": {
          const link = manager.open({ host: "127.0.0.1", port: order.port });
          sender = new Sender(link, order.perSecond, order.messages, tell);
          void link.closed.then(() => resolve());
          break;
        }
        case "flush":
          sender?.flush(order.id);
          break;
        case "finish":
          sender?.finish();
          break;
      }
    });
    if (page) void openPage({ sender: manager }, tell);
  });
  await manager.close();
  return EXIT.ok;
}

class Sender {
  readonly #link: Link;
  readonly #perSecond: number;
  readonly #most: number;
  readonly #tell: (note: FromSender) => void;
  readonly #sinceMs = nowMs();
  readonly #ticks: NodeJS.Timeout;
  readonly #stats: NodeJS.Timeout;
  #sent = 0;

  constructor(link: Link, perSecond: number, messages: number | undefined, tell: (note: FromSender) => void) {
    this.#link = link;
    this.#perSecond = perSecond;
    this.#most = messages ?? Infinity;
    this.#tell = tell;
    link.on("state", ({ to, reason }) => tell({ type: "state", to, reason, atMs: nowMs() }));
    this.#ticks = setInterval(() => this.#tick(), TICK_MS);
    this.#stats = setInterval(() => this.#tellStats(), STATS_EVERY_MS);
    void link.closed.then(({ error }) => {
      clearInterval(this.#ticks);
      clearInterval(this.#stats);
      this.#tellStats();
      tell({ type: "done", sent: this.#sent, error: error?.message });
    });
  }

  /** Sends the messages that are due. If the link has no room, they are sent later; none is left out. */
  #tick(): void {
    const due = Math.min(this.#most, Math.floor(((nowMs() - this.#sinceMs) / 1_000) * this.#perSecond));
    while (this.#sent < due) {
      if (!this.#link.trySend(encodeMessage(this.#sent, nowMs()), { transfer: true })) return;
      this.#sent++;
    }
    if (this.#sent === this.#most) {
      clearInterval(this.#ticks);
      this.#tell({ type: "exhausted" });
    }
  }

  #tellStats(): void {
    const { rttMs } = this.#link.stats();
    this.#tell({ type: "stats", sent: this.#sent, inFlightBytes: this.#link.writableLength, rttMs });
  }

  flush(id: number): void {
    this.#link.flush().then(
      () => this.#tell({ type: "flushed", id }),
      () => {}, // the link has ended, and "done" reports that
    );
  }

  finish(): void {
    clearInterval(this.#ticks);
    void this.#link.close({ deadlineMs: CLOSE_MS });
  }
}
