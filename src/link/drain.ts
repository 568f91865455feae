/** How a link is brought to its end, within its time: both directions drain, or its client is sent elsewhere. */
import type { Driver } from "./driver.ts";
import type { CloseOptions } from "./types.ts";

export const DEFAULT_CLOSE_MS = 5_000;
/** A peer that does not answer is waited for so long after everything was accepted, to hear of the end. */
export const FORGET_AFTER_MS = 6_000;
/** Of the time that a server has for going away: what its handlers have to return. */
const HANDLER_SHARE = 0.8;

export class Drain {
  isClosing = false;
  /** This direction ends with the peer's, whoever would like to go on. */
  endsWithInput = false;
  #stopsWhenSent = false;
  #isFinishing = false;
  readonly #driver: Driver;
  readonly #link: { readonly closed: Promise<unknown> };

  /** Once the link is closed no deadline matters. */
  constructor(driver: Driver, link: { readonly closed: Promise<unknown> }) {
    this.#driver = driver;
    this.#link = link;
  }

  /** Called again it may only shorten the drain, and only when it says so. */
  close(options: CloseOptions, hasConsumer: boolean): void {
    const { protocol } = this.#driver;
    const isFirst = !this.isClosing;
    this.#cutOff(options, isFirst);
    if (!isFirst) return;
    this.isClosing = true;
    protocol.end();
    // Who reads goes on reading until our direction is through.
    if (hasConsumer) this.#stopsWhenSent = true;
    else protocol.stopReading();
  }

  /** A byte stream is ended by its application, and cut off at the deadline. Answers whether this is the first call. */
  finish(options: CloseOptions): boolean {
    const isFirst = !this.#isFinishing;
    this.#isFinishing = true;
    this.#cutOff(options, isFirst);
    return isFirst;
  }

  #cutOff(options: CloseOptions, isFirst: boolean): void {
    const { protocol, clock } = this.#driver;
    const deadlineMs = options.deadlineMs ?? (isFirst ? DEFAULT_CLOSE_MS : Infinity);
    if (deadlineMs === Infinity && options.signal === undefined) return;
    this.#limit({ ...options, deadlineMs }, () => protocol.reset("close-timeout", "", "close-timeout", clock.now()));
  }

  /** Our direction is through. */
  outputDone(): void {
    const { protocol } = this.#driver;
    const isSent = protocol.peerStopped || protocol.queuedMessages === 0;
    if (this.#stopsWhenSent && isSent) protocol.stopReading();
  }

  /** The client is asked to go on elsewhere, and ends first. What is not through by the deadline is cut off. */
  leave(options: CloseOptions): void {
    const { protocol } = this.#driver;
    const { deadlineMs = DEFAULT_CLOSE_MS } = options;
    const handlerMs = HANDLER_SHARE * deadlineMs;
    // A handler that goes on and on is told that sending is over in time for the client to hear of it. Not before the
    // client's end is accepted: it would take ours for one that the application wanted.
    this.#limit({ ...options, deadlineMs: handlerMs }, () => {
      this.endsWithInput = true;
    });
    this.#limit({ ...options, deadlineMs }, () => protocol.abandon("close-timeout"));
  }

  /** Lets `expire` change something when the deadline has passed or the signal is aborted. */
  #limit({ deadlineMs, signal }: CloseOptions & { deadlineMs: number }, expire: () => void): void {
    const driver = this.#driver;
    const { clock } = driver;
    const expireAndRun = (): void => {
      expire();
      driver.run();
    };
    const timer = clock.timer(expireAndRun);
    const early = (): void => clock.defer(expireAndRun, undefined);
    timer.set(clock.now() + deadlineMs);
    if (signal?.aborted === true) early();
    else signal?.addEventListener("abort", early, { once: true });
    void this.#link.closed.then(() => {
      timer.clear();
      signal?.removeEventListener("abort", early);
    });
  }
}
