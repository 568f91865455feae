/** Tells the application, and the log, of messages that a link will not deliver. Made when there is one. */
import type { DropHost } from "./drop-reports.ts";
import type { Life } from "./life.ts";
import type { LinkOwner } from "./owner.ts";
import type { Link, LinkReport, Traffic, Undelivered, UndeliveredMessage } from "./types.ts";
import { countByDelivery, recordUndelivered, UndeliveredBook } from "./undelivered.ts";

type Reason = Undelivered["reason"];

/** The link that is reported of. */
export interface ReportedLink {
  readonly link: Link;
  readonly owner: LinkOwner;
  readonly protocol: { readonly sessionId: string };
}

export class UndeliveredReports implements DropHost {
  readonly book: UndeliveredBook = new UndeliveredBook();
  readonly #life: Life;
  readonly #of: ReportedLink;

  constructor(life: Life, of: ReportedLink) {
    this.#life = life;
    this.#of = of;
  }

  /** The session or the connection of these messages is lost, and the link goes on. `count`: with those of calls. */
  lost(report: Undelivered, count: number): void {
    const { link } = this.#of;
    const { reason, messages, untracked } = report;
    this.book.counts[reason] += count;
    if (messages.length === 0 && untracked === undefined) return;
    this.#record(reason, messages, untracked);
    this.#life.later(() => {
      if (!link.emit("undelivered", report)) this.book.keepReport(report);
    });
  }

  get hearsUndelivered(): boolean {
    return this.#of.link.listenerCount("undelivered") > 0;
  }

  /** A policy of the queue has dropped messages that no call waits for. `messages` is empty if nobody listened. */
  onDropped(reason: Reason, count: number, messages: UndeliveredMessage[]): void {
    const { link, owner, protocol } = this.#of;
    this.book.counts[reason] += count;
    recordUndelivered(owner.journal, owner.ids, reason, { maybe: 0, notSent: count });
    if (messages.length === 0) return;
    const report: Undelivered = { reason, sessionId: protocol.sessionId, messages };
    this.#life.later(() => link.emit("undelivered", report));
  }

  emitAll(): void {
    this.#life.emitAll();
  }

  /** The messages of the link's last report. Of a link that was closed in order nothing is known to be wrong. */
  atEnd(undelivered: UndeliveredMessage[], untracked: Traffic | undefined, isInOrder: boolean): LinkReport {
    const report: LinkReport = { undelivered: [...this.book.takeKept(), ...undelivered] };
    const allUntracked = this.book.allUntracked(untracked);
    if (allUntracked !== undefined) report.untracked = allUntracked;
    this.#record("ended", report.undelivered, isInOrder ? undefined : allUntracked);
    return report;
  }

  #record(reason: Reason | "ended", messages: readonly UndeliveredMessage[], untracked: Traffic | undefined): void {
    const { journal, ids } = this.#of.owner;
    const counts = { ...countByDelivery(messages), ...(untracked && { untracked: untracked.messages }) };
    recordUndelivered(journal, ids, reason, counts);
  }
}
