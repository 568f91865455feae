/** The application's registry of servers, contained: its functions may throw, hang, or answer anything. */
import { RespliceError } from "../../link/errors.ts";
import { timedWait } from "../../link/waits.ts";
import type { Clock } from "../../link/ports.ts";
import { isAddress, type ForwardAddress, type ForwardRegistry } from "./options.ts";

/** For one call. */
const ANSWERS_WITHIN_MS = 2_000;

export class Registry {
  readonly #registry: ForwardRegistry;
  readonly #clock: Clock;

  constructor(registry: ForwardRegistry, clock: Clock) {
    this.#registry = registry;
    this.#clock = clock;
  }

  /** Rejects if the application's function does, or takes too long. */
  async announce(serverId: string, address: ForwardAddress): Promise<void> {
    await this.#call("announce", (signal) => this.#registry.announce(serverId, address, { signal }));
  }

  async withdraw(serverId: string): Promise<void> {
    await this.#call("withdraw", (signal) => this.#registry.withdraw(serverId, { signal }));
  }

  /** Undefined: there is no such server any more. Rejects also for an answer that is no address. */
  async find(serverId: string): Promise<ForwardAddress | undefined> {
    const answer = await this.#call("find", (signal) => this.#registry.find(serverId, { signal }));
    if (answer === undefined || answer === null) return undefined;
    if (isAddress(answer)) return { host: answer.host, port: answer.port };
    throw new TypeError("forward.registry.find() answered neither { host, port } nor undefined");
  }

  async #call(name: keyof ForwardRegistry, call: (signal: AbortSignal) => unknown): Promise<unknown> {
    const aborted = new AbortController();
    const { promise: isInTime, end } = timedWait(this.#clock, this.#clock.now() + ANSWERS_WITHIN_MS);
    const answer = (async () => call(aborted.signal))();
    // If it takes too long, nobody waits for its error any more.
    answer.then(end, end);
    if (await isInTime) return answer;
    const late = new RespliceError("TIMED_OUT", `forward.registry.${name}() took more than ${ANSWERS_WITHIN_MS} ms`);
    aborted.abort(late);
    throw late;
  }
}
