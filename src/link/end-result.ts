/** How a link ended, for callers that ask at that moment or later. */
import { RespliceError } from "./errors.ts";
import type { Outbound } from "./protocol.ts";
import type { LinkReport } from "./types.ts";

/** Is told how a link ended, without a promise for each link. */
export interface ClosedListener {
  onClosed(report: LinkReport): void;
}

export class EndResult {
  /** The error that ended the link; undefined if it ended in order. */
  failure: RespliceError | undefined;
  /** This end has called abort(). */
  isAborted = false;
  /** The error that the handler of this link threw. */
  handlerError: unknown;
  #report: LinkReport | undefined;
  /** Made when the application first asks for the promise. */
  #closed: Promise<LinkReport> | undefined;
  #resolve: ((report: LinkReport) => void) | undefined;
  #listener: ClosedListener | undefined;

  get closed(): Promise<LinkReport> {
    return (this.#closed ??= new Promise((resolve) => {
      if (this.#report === undefined) this.#resolve = resolve;
      else resolve(this.#report);
    }));
  }

  /** The listener is called when `closed` would be fulfilled. A link has one at the most. */
  tell(listener: ClosedListener): void {
    this.#listener = listener;
    if (this.#report !== undefined) this.#tell(this.#report);
  }

  close(report: LinkReport): void {
    this.#report = report;
    this.#resolve?.(report);
    this.#tell(report);
  }

  #tell(report: LinkReport): void {
    const listener = this.#listener;
    if (listener !== undefined) void Promise.resolve(report).then((its) => listener.onClosed(its));
  }

  /**
   * Answers whether `thrown` is the error that the ended link throws at callers: the application was told of it
   * already.
   */
  isOwn(thrown: unknown): boolean {
    if (this.failure !== undefined && thrown === this.failure) return true;
    return thrown instanceof RespliceError && (thrown.code === "LINK_ENDED" || thrown.code === this.failure?.code);
  }

  /** The error for calls that come after the end. */
  endedError({ peerStopped }: Outbound): RespliceError {
    if (this.failure !== undefined) {
      return new RespliceError("LINK_ENDED", `the link has ended: ${this.failure.message}`, {
        cause: this.failure,
        delivery: "not-sent",
      });
    }
    if (this.#report !== undefined)
      return new RespliceError("LINK_ENDED", "the link is closed", { delivery: "not-sent" });
    const why = peerStopped ? "the peer reads no more" : "this direction has ended";
    return new RespliceError("LINK_ENDED", why, { delivery: "not-sent" });
  }
}
