/** The dial of a standby: a second connection, for a link whose first has gone silent. */
import type { Endpoint } from "../io/dial.ts";
import type { RespliceError } from "../link/errors.ts";
import type { Connector, DialledLink, DialTerms } from "./connector.ts";
import { Deadline } from "./deadline.ts";

/**
 * One dial of a standby, and its patience: the time from the dial to READY. Whether the standby takes over is decided in the
 * core.
 */
export class StandbyDial implements DialTerms {
  /** The name of its connection. */
  readonly id: number;
  readonly number = 0;
  readonly patience = 1;
  readonly #link: DialledLink;
  readonly #connector: Connector;
  readonly #abort = new AbortController();
  readonly #leave: () => void;
  readonly #deadline: Deadline;
  #isDialling = true;
  #isLate = false;
  #endpoint: Endpoint | undefined;

  /** `leave` gives its place in the gate back. */
  constructor(link: DialledLink, connector: Connector, leave: () => void) {
    const { core, host } = link;
    this.#link = link;
    this.#connector = connector;
    this.#leave = leave;
    this.id = host.nextId();
    this.#deadline = new Deadline(host.clock, "the standby", core.standbyPatienceMs, (error) => this.#timedOut(error));
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** It has neither failed nor been handed to the core. */
  get isDialling(): boolean {
    return this.#isDialling;
  }

  /** Where its connection goes; undefined until there is one, and with the application's own transport. */
  get endpoint(): Endpoint | undefined {
    return this.#endpoint;
  }

  /** Dials, and hands the connection, or the failure, to the core. Never rejects. */
  async run(): Promise<void> {
    const { core, driver, host } = this.#link;
    this.#deadline.start();
    try {
      const opened = await this.#connector.open(this);
      this.#endpoint = opened.endpoint;
      this.#connector.introduce(this.id, "standby", opened);
    } catch {
      this.#deadline.clear();
      core.standbyDialFailed(host.clock.now(), { timedOut: this.#isLate });
    } finally {
      this.#leave();
      this.#isDialling = false;
      driver.run();
    }
  }

  /** Its connection speaks for the session. */
  adopted(): void {
    this.#deadline.clear();
  }

  /** Another takes its place. */
  forget(): void {
    this.#deadline.clear();
  }

  /** Gives the dial up. A connection that stands by already is the core's to close. */
  abort(error: RespliceError): void {
    this.#deadline.clear();
    if (this.#isDialling) this.#abort.abort(error);
  }

  #timedOut(error: RespliceError): void {
    const { core, driver, host } = this.#link;
    if (this.#isDialling) {
      // The dial fails, and then tells the core.
      this.#isLate = true;
      this.#abort.abort(error);
      return;
    }
    core.standbyTimedOut(this.id, host.clock.now());
    driver.run();
  }
}
