/** close() of a link: both directions drain within a deadline, or the client is asked to go on at another server. */
import type { Driver } from "./driver.ts";
import type { LinkOwner } from "./owner.ts";
import type { Protocol } from "./protocol.ts";
import type { CloseOptions, CutOffReason, LinkReport } from "./types.ts";

export const DEFAULT_CLOSE_MS = 5_000;
/** After everything was accepted, a peer that does not answer has so long to hear that the link has ended. */
export const FORGET_AFTER_MS = 6_000;
/** As long as a server keeps a session without a connection by default. */
export const LET_GO_MS = 300_000;
/** The part of a server's closing time in which its handlers have to return. */
const HANDLER_SHARE = 0.8;

type Limit = CloseOptions & { deadlineMs: number; holdsProcess?: boolean };
/** When the time of close() is over, a peer that is connected has so long to hear that the link was cut off. */
export const TOLD_WITHIN_MS = 1_000;

export interface ClosingLink {
  readonly closed: Promise<LinkReport>;
  readonly isOver: boolean;
  readonly owner: Pick<LinkOwner, "letGo">;
  /** Ends our direction behind everything that was taken. */
  endOutput(): void;
}

export class Closing {
  isBegun = false;
  /** This direction ends when the peer's does, even if a handler or a send would go on. */
  endsWithInput = false;
  /** Part of the link's report: why it was cut off, if it was. */
  cutOff: Pick<LinkReport, "cutOff"> | undefined;
  /** When the time of close() is over. */
  #untilMs = Infinity;
  #left: Promise<LinkReport> | undefined;
  #stopsWhenSent = false;
  #isFinishing = false;
  readonly #driver: Driver;
  readonly #link: ClosingLink;

  /** Deadlines are dropped once nothing is left of the link. */
  constructor(driver: Driver, link: ClosingLink) {
    this.#driver = driver;
    this.#link = link;
  }

  /** A second call can only shorten the drain, and only if its options have a deadline or a signal. */
  close(options: CloseOptions, hasConsumer: boolean): void {
    const { protocol } = this.#driver;
    const isFirst = !this.isBegun;
    this.#cutOff(options, isFirst);
    if (!isFirst) return;
    this.isBegun = true;
    this.#link.endOutput();
    // A consumer goes on reading until our direction is complete.
    if (hasConsumer) this.#stopsWhenSent = true;
    else protocol.stopReading();
  }

  /**
   * Lets the application end its byte stream, and cuts that off at the deadline. Answers whether this is the first
   * call.
   */
  finish(options: CloseOptions): boolean {
    const isFirst = !this.#isFinishing;
    this.#isFinishing = true;
    this.#cutOff(options, isFirst);
    return isFirst;
  }

  /**
   * The application has let go of its socket: what was taken is still delivered, and nothing more is read. Only the
   * link itself keeps the process alive for that.
   */
  letGo(): void {
    if (this.isBegun) return;
    this.isBegun = true;
    this.#limit({ deadlineMs: LET_GO_MS, holdsProcess: false }, () => this.#cut());
    this.#link.endOutput();
    this.#driver.protocol.stopReading();
  }

  /** Fulfils with the report of the link when nothing is left of it at this end. */
  get left(): Promise<LinkReport> {
    return (this.#left ??= this.#whenLeft());
  }

  async #whenLeft(): Promise<LinkReport> {
    const report = await this.#link.closed;
    const { protocol, clock } = this.#driver;
    const nowMs = clock.now();
    // Nobody is told that the link was cut off where there was no connection by the deadline.
    const isAlone = this.cutOff !== undefined && protocol.adopted === undefined;
    const dueMs = Math.min(nowMs + FORGET_AFTER_MS, Math.max(nowMs, this.#untilMs) + TOLD_WITHIN_MS);
    await this.#link.owner.letGo?.(isAlone ? nowMs : dueMs);
    return report;
  }

  #cutOff(options: CloseOptions, isFirst: boolean): void {
    const { clock } = this.#driver;
    const deadlineMs = options.deadlineMs ?? (isFirst ? DEFAULT_CLOSE_MS : Infinity);
    this.#untilMs = Math.min(this.#untilMs, clock.now() + deadlineMs);
    if (deadlineMs === Infinity && options.signal === undefined) return;
    this.#limit({ ...options, deadlineMs }, () => {
      this.#untilMs = clock.now();
      if (this.#link.isOver) void this.#link.owner.letGo?.(this.#untilMs + TOLD_WITHIN_MS);
      else this.#cut();
    });
  }

  #cut(): void {
    const { protocol, clock } = this.#driver;
    this.cutOff = { cutOff: whyOpen(protocol, protocol.outputEnded ? "peer" : "application") };
    protocol.reset("close-timeout", "", "close-timeout", clock.now());
  }

  /** Our direction is complete. */
  outputDone(): void {
    const { protocol } = this.#driver;
    const isSent = protocol.peerStopped || protocol.queuedMessages === 0;
    if (this.#stopsWhenSent && isSent) protocol.stopReading();
  }

  /**
   * The client was asked to go on elsewhere, and ends its direction first. A link that is still open at the deadline
   * is cut off.
   */
  leave(options: CloseOptions): void {
    const { protocol } = this.#driver;
    const { deadlineMs = DEFAULT_CLOSE_MS } = options;
    const handlerMs = HANDLER_SHARE * deadlineMs;
    // Our direction ends early enough for the client to hear of it, even if a handler would go on sending. It does not
    // end before the client's end is accepted: the client would take our end for one that the application wanted.
    this.#limit({ ...options, deadlineMs: handlerMs }, () => {
      this.endsWithInput = true;
    });
    this.#limit({ ...options, deadlineMs }, () => {
      this.cutOff = { cutOff: whyOpen(protocol, protocol.inputEnded ? "application" : "peer") };
      protocol.abandon("close-timeout");
    });
  }

  /** Lets `expire` change something when the deadline has passed or the signal is aborted. */
  #limit({ deadlineMs, signal, holdsProcess = true }: Limit, expire: () => void): void {
    const driver = this.#driver;
    const { clock } = driver;
    const expireAndRun = (): void => {
      expire();
      driver.run();
    };
    const timer = clock.timer(expireAndRun);
    timer.holdProcess(holdsProcess);
    const early = (): void => clock.defer(expireAndRun, undefined);
    timer.set(clock.now() + deadlineMs);
    if (signal?.aborted === true) early();
    else signal?.addEventListener("abort", early, { once: true });
    void this.left.then(() => {
      timer.clear();
      signal?.removeEventListener("abort", early);
    });
  }
}

/** `ending`: whose end is awaited when nothing else is. */
function whyOpen({ adopted, unackedBytes, unacceptedBytes }: Protocol, ending: "application" | "peer"): CutOffReason {
  if (adopted === undefined) return "away";
  if (unackedBytes > 0) return "unaccepted";
  return unacceptedBytes > 0 ? "unread" : ending;
}
