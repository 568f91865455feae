/** One attempt of the dial loop. */
import { RespliceError } from "../link/errors.ts";
import { type Connector, type DialledLink, type DialTerms, type Opened, stretched } from "./connector.ts";
import { Deadline } from "./deadline.ts";
import { Ear } from "./ear.ts";
import { asError, type Circumstances, explained } from "./failure.ts";
import type { Place } from "./place.ts";
import { destinationOf } from "./targets.ts";

const ATTEMPT_MS = 20_000;

/**
 * One attempt to bring up a connection that speaks for the session. The attempt begins when it asks the gate for a
 * place, and ends when the core has adopted the connection, or the attempt has failed. It has deadlines, an abort
 * signal and a connection id of its own; none of them outlives `run()`.
 */
export class Attempt implements DialTerms {
  /** The id of the attempt's connection. */
  readonly id: number;
  readonly number: number;
  readonly patience: number;
  readonly #link: DialledLink;
  readonly #connector: Connector;
  readonly #abort = new AbortController();
  /** For the whole attempt, from when the gate has let it in. */
  readonly #deadline: Deadline;
  readonly #handshakeDeadline: Deadline;
  readonly #handshake = Promise.withResolvers<void>();
  #opened: Opened | undefined;
  #ear: Ear | undefined;

  constructor(link: DialledLink, connector: Connector, { number, patience }: { number: number; patience: number }) {
    const { clock } = link.host;
    const { handshakeMs } = link.options.timeouts;
    const giveUp = (error: RespliceError): void => this.abort(error);
    this.#link = link;
    this.#connector = connector;
    this.id = link.host.nextId();
    this.number = number;
    this.patience = patience;
    this.#deadline = new Deadline(clock, "the attempt", stretched(ATTEMPT_MS, patience), giveUp);
    this.#handshakeDeadline = new Deadline(clock, "the handshake", stretched(handshakeMs, patience), giveUp);
    // An abort before the handshake rejects this promise while nobody awaits it; run() notices the abort by the signal.
    this.#handshake.promise.catch(() => {});
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Where the connection goes; undefined until there is a connection, and with the application's own transport. */
  get place(): Place | undefined {
    return this.#opened?.place;
  }

  /** What is known of the attempt's connection. */
  get circumstances(): Circumstances {
    return {
      endpoint: this.place?.endpoint,
      tls: this.#opened?.tls ?? false,
      heard: this.#ear,
      wasConnected: this.#connector.wasConnected,
      isPlain: this.#link.login !== undefined,
    };
  }

  /** Resolves when the connection speaks for the session. Rejects with a RespliceError. */
  async run(): Promise<void> {
    let leave: (() => void) | undefined;
    try {
      const { host, options } = this.#link;
      leave = await host.gate.enter(destinationOf(options.target), this.signal);
      this.#deadline.start();
      const opened = await this.#connector.open(this);
      this.#opened = opened;
      await this.#shakeHands(opened);
    } catch (error) {
      throw explained(asError(error), this.circumstances, this.#link.host.clock.wallMs());
    } finally {
      this.#clearDeadlines();
      leave?.();
    }
  }

  async #shakeHands(opened: Opened): Promise<void> {
    const { core, driver } = this.#link;
    try {
      if (!core.wantsDial || this.signal.aborted) {
        opened.connection.destroy();
        this.signal.throwIfAborted();
        throw new RespliceError("CONNECTION_LOST", "no connection is wanted any more");
      }
      this.#handshakeDeadline.start();
      this.#connector.introduce(this.id, "primary", opened);
      this.#ear = new Ear(opened.connection);
      driver.run();
      await this.#link.login?.(this);
      await this.#handshake.promise;
    } catch (error) {
      const failure = asError(error);
      this.#connector.failed(opened.place, failure);
      // A login may be at work still; and if it has failed, its connection is open.
      if (this.#link.login !== undefined) this.abort(failure);
      throw failure;
    }
  }

  /** The core has adopted the attempt's connection. */
  adopted(): void {
    this.#clearDeadlines();
    this.#handshake.resolve();
  }

  /** The core has given the attempt's connection up. */
  failed(error: RespliceError): void {
    this.#handshake.reject(error);
    // A login that is at work is stopped, and its error is the attempt's.
    this.#abort.abort(error);
  }

  /** Gives the attempt up, however far it has come. */
  abort(error: RespliceError): void {
    this.#abort.abort(error);
    // Before the core is told: the core would report only that a connection is gone, not this error.
    this.#handshake.reject(error);
    this.#link.driver.drop(this.id, error.code);
  }

  #clearDeadlines(): void {
    this.#deadline.clear();
    this.#handshakeDeadline.clear();
  }
}
