/** Tells the application, and the log, of messages that a link will not deliver. Made when there is one. */
import type { Undelivered as UndeliveredByCore } from "../core/session/tickets.ts";
import type { DropHost } from "./drop-reports.ts";
import { connectionLostError, ofMessage, replacedError, type RespliceError } from "./errors.ts";
import type { Life } from "./life.ts";
import type { Outgoing } from "./outgoing.ts";
import type { LinkOwner } from "./owner.ts";
import type { LinkEvent } from "./protocol.ts";
import type { Link, LinkReport, Traffic, Undelivered, UndeliveredMessage } from "./types.ts";
import { countByDelivery, inOrder, recordUndelivered, toMessage, UndeliveredBook } from "./undelivered.ts";

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

  /** The session was replaced, and the link goes on. */
  replaced(event: Extract<LinkEvent, { type: "replaced" }>, outgoing: Outgoing): void {
    const { reason, sessionId, lost, undelivered, undeliveredCount } = event;
    const abandoned = outgoing.replaced(lost, (delivery) => replacedError(reason, delivery));
    if (reason === "moved") return;
    const messages = inOrder(undelivered, abandoned).map(toMessage);
    this.#lost({ reason, sessionId, messages }, undeliveredCount);
  }

  /** The connection is lost, and the link goes on. */
  connectionLost(event: Extract<LinkEvent, { type: "connection-lost" }>, outgoing: Outgoing): void {
    const { lost, undelivered, undeliveredCount, untracked } = event;
    const abandoned = outgoing.replaced(lost, connectionLostError);
    const messages = inOrder(undelivered, abandoned).map(toMessage);
    const { sessionId } = this.#of.protocol;
    this.#lost({ reason: "connection-lost", sessionId, messages, ...(untracked && { untracked }) }, undeliveredCount);
  }

  /** `count`: with the messages of calls. */
  #lost(report: Undelivered, count: number): void {
    const { link } = this.#of;
    const { reason, messages, untracked } = report;
    this.book.counts[reason] += count;
    if (messages.length === 0 && untracked === undefined) return;
    this.#record(reason, messages, untracked);
    this.#life.later(() => {
      if (!link.emit("undelivered", report)) this.book.keepReport(report);
    });
  }

  /** The link is about to end: its report will have these messages. */
  severed(event: UndeliveredByCore, outgoing: Outgoing, because: RespliceError): void {
    this.book.counts["connection-lost"] += event.undeliveredCount;
    const { untracked } = event;
    this.book.keepReport({ messages: this.lose(event, outgoing, because), ...(untracked && { untracked }) });
  }

  /** Nothing more is sent: rejects the calls that wait. Answers the messages of no call, those never taken last. */
  lose({ lost, undelivered }: UndeliveredByCore, outgoing: Outgoing, because: RespliceError): UndeliveredMessage[] {
    const abandoned = outgoing.ended(lost, (delivery) => ofMessage(because, delivery));
    const neverSent = outgoing.backlogEnded(ofMessage(because, "not-sent"));
    return [...inOrder(undelivered, abandoned).map(toMessage), ...neverSent];
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

  /** It counts as it does where the protocol has lost it. */
  onCallLost(): void {
    this.book.counts["connection-lost"]++;
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
