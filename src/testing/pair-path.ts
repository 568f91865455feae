/**
 * The path between the two ends of a pair, and its faults. A fault takes effect in the next turns of the event loop.
 */
import { CLOSED_BY_PEER } from "../core/session/link-events.ts";
import { DialError } from "../io/dial-error.ts";
import type { Connection } from "../link/ports.ts";
import { abortableWait, type Wait } from "../link/waits.ts";
import {
  bothDirections,
  checkBytes,
  checkHow,
  checkLatency,
  type Direction,
  directionsOf,
  type Faults,
} from "./faults.ts";
import { SimNetwork, type SimSocket } from "./network.ts";
import { SimConnection } from "./sim-connection.ts";
import type { VirtualTime } from "./virtual-time.ts";

const SERVER = "server";
/** The address that a service sees on a developer's machine. */
const LOCALHOST = "127.0.0.1";
/** How many bytes a connection holds in each direction before its writer has to wait. */
const KERNEL_BYTES = 131_072;

export class PairPath implements Faults {
  readonly #time: VirtualTime;
  readonly #network: SimNetwork;
  readonly #swallowing = new Set<Direction>();

  constructor(time: VirtualTime, random: () => number, onConnection: (connection: Connection) => void) {
    this.#time = time;
    this.#network = new SimNetwork(time, random, KERNEL_BYTES, KERNEL_BYTES / 2);
    Object.assign(this.#network.path(SERVER), { latencyMs: 0, dialDelayMs: 0 });
    this.#network.listen(SERVER, (socket) => onConnection(new SimConnection(socket, LOCALHOST)));
  }

  /** Calls back once, unless the caller cancels the dial with the returned function. */
  open(onOpen: (connection: Connection) => void, onRefused: () => void): () => void {
    const opened = (socket: SimSocket): void => {
      for (const direction of this.#swallowing) socket.wire.swallow(direction);
      onOpen(new SimConnection(socket, LOCALHOST));
    };
    return this.#network.dial(SERVER, opened, onRefused);
  }

  /** Rejects with a DialError. */
  dial(signal: AbortSignal): Promise<Connection> {
    const wait: Wait<Connection> = abortableWait(signal, () => {
      takeBack();
      return new DialError("aborted", "aborted", signal.reason);
    });
    const refused = (): void => wait.reject(new DialError("failed", "connect ECONNREFUSED"));
    const takeBack = this.open(wait.resolve, refused);
    return wait.promise;
  }

  cut(how: "fin" | "rst"): void {
    checkHow(how);
    const reason = how === "fin" ? CLOSED_BY_PEER : "ECONNRESET";
    // Scheduled: a cut must not come within a step of a link that is about to write on the connection.
    this.#time.schedule(0, () => this.#network.cutAll(SERVER, reason));
  }

  blackHole(options?: { direction?: Direction }): void {
    for (const direction of directionsOf("blackHole()", options)) {
      this.#swallowing.add(direction);
      for (const wire of this.#network.wires(SERVER)) wire.swallow(direction);
    }
  }

  stall(options?: { direction?: Direction }): void {
    for (const direction of directionsOf("stall()", options)) this.#network.path(SERVER).stalled[direction] = true;
  }

  latency(delayMs: number, options?: { jitterMs?: number; direction?: Direction }): void {
    const directions = directionsOf("latency()", options, ["jitterMs"]);
    const jitterMs = checkLatency(delayMs, options?.jitterMs);
    for (const direction of directions) this.#network.path(SERVER).added[direction] = { delayMs, jitterMs };
  }

  cutAfterBytes(bytes: number, options?: { direction?: Direction }): void {
    checkBytes(bytes);
    this.#network.path(SERVER).countdowns.add(bytes, directionsOf("cutAfterBytes()", options));
  }

  refuse(): void {
    this.#network.path(SERVER).refuses = true;
  }

  heal(): void {
    const path = this.#network.path(SERVER);
    path.refuses = false;
    path.countdowns.clear();
    this.#swallowing.clear();
    for (const direction of bothDirections) {
      path.stalled[direction] = false;
      path.added[direction] = { delayMs: 0, jitterMs: 0 };
    }
    this.#network.hurry(SERVER);
  }
}
