/** How a link came to its end, for whoever asks then or later. */
import { RespliceError } from "./errors.ts";
import type { Outbound } from "./protocol.ts";
import type { LinkReport } from "./types.ts";

export class Ending {
  /** What ended it, if that was not in order. */
  failure: RespliceError | undefined;
  /** By abort(), here. */
  isAborted = false;
  /** What its own handler threw. */
  handlerError: unknown;
  #report: LinkReport | undefined;
  /** Made when somebody asks. */
  #closed: PromiseWithResolvers<LinkReport> | undefined;

  get closed(): Promise<LinkReport> {
    this.#closed ??= Promise.withResolvers();
    if (this.#report !== undefined) this.#closed.resolve(this.#report);
    return this.#closed.promise;
  }

  close(report: LinkReport): void {
    this.#report = report;
    this.#closed?.resolve(report);
  }

  /** It is what the link itself throws at who goes on with it when it has ended, and which has been told of. */
  isOwn(thrown: unknown): boolean {
    if (this.failure !== undefined && thrown === this.failure) return true;
    return thrown instanceof RespliceError && (thrown.code === "LINK_ENDED" || thrown.code === this.failure?.code);
  }

  /** What calls get that come too late. */
  endedError({ peerStopped }: Outbound): RespliceError {
    if (this.failure !== undefined) {
      return new RespliceError("LINK_ENDED", `the link has ended: ${this.failure.message}`, {
        cause: this.failure,
        delivery: "not-sent",
      });
    }
    const why = peerStopped ? "the peer reads no more" : "this direction has ended";
    return new RespliceError("LINK_ENDED", why, { delivery: "not-sent" });
  }
}
