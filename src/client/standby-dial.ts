/** The dial of a standby: a second connection, for a link whose first has gone silent. */
import type { RespliceError } from "../link/errors.ts";
import type { Connector, DialledLink, DialTerms } from "./connector.ts";
import { Deadline } from "./deadline.ts";
import type { Place } from "./place.ts";

/**
 * One dial of a standby, with a deadline from the dial to READY (the core's `standbyPatienceMs`). The core decides
 * whether the standby takes over.
 */
export class StandbyDial implements DialTerms {
  /** The id of the standby's connection. */
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
  #place: Place | undefined;

  /** @param leave gives the standby's place in the gate back */
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

  /** The dial has neither failed nor handed its connection to the core. */
  get isDialling(): boolean {
    return this.#isDialling;
  }

  /** Where the connection goes; undefined until there is a connection, and with the application's own transport. */
  get place(): Place | undefined {
    return this.#place;
  }

  /** Dials, and hands the connection, or the failure, to the core. Never rejects. */
  async run(): Promise<void> {
    const { core, driver, host } = this.#link;
    this.#deadline.start();
    try {
      const opened = await this.#connector.open(this);
      this.#place = opened.place;
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

  /** The standby's connection speaks for the session now. */
  adopted(): void {
    this.#deadline.clear();
  }

  /** Another dial takes the place of this one. */
  forget(): void {
    this.#deadline.clear();
  }

  /** Gives the dial up. If the connection stands by already, the core closes it. */
  abort(error: RespliceError): void {
    this.#deadline.clear();
    if (this.#isDialling) this.#abort.abort(error);
  }

  #timedOut(error: RespliceError): void {
    const { core, driver, host } = this.#link;
    if (this.#isDialling) {
      // The dial fails by this, and run() then tells the core.
      this.#isLate = true;
      this.#abort.abort(error);
      return;
    }
    core.standbyTimedOut(this.id, host.clock.now());
    driver.run();
  }
}
