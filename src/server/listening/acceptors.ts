/** All places at which a server listens. */
import { isIP, type Socket } from "node:net";
import { codeOf } from "../../core/foreign.ts";
import { discard } from "../../io/fitness.ts";
import { DESCRIPTOR_RESERVE, type ReserveUser } from "../../io/resources/reserve.ts";
import { aborted, type RespliceError } from "../../link/errors.ts";
import { Acceptor, type AcceptorHost, type AddressStats } from "./acceptor.ts";
import { listenFailed, stopped } from "./listen-error.ts";
import type { BoundAddress, ListenAddress, Listening, Place } from "./places.ts";
import { ACTIVATED_SOCKETS } from "./systemd.ts";

export interface AcceptorsHost extends AcceptorHost {
  /** No descriptor is left: whoever is accepted from now on is to be refused, and closed at once. */
  onShort(): void;
}

export class Acceptors {
  readonly #host: AcceptorsHost;
  readonly #reserveUser: ReserveUser;
  #acceptors: readonly Acceptor[] = [];
  #isOpen = false;
  #isStopped = false;

  constructor(host: AcceptorsHost) {
    this.#host = host;
    this.#reserveUser = {
      onShort: () => host.onShort(),
      // Node would turn in vain: clients are refused by the kernel.
      onNone: () => {
        for (const acceptor of this.#acceptors) acceptor.suspend("no file descriptor is left");
      },
      onRelief: () => {
        for (const acceptor of this.#acceptors) acceptor.resume();
      },
    };
  }

  /**
   * At all addresses, or at none. Rejects LISTEN_FAILED; INVALID_STATE if it is stopped before or meanwhile; ABORTED.
   */
  async listen(addresses: readonly ListenAddress[], signal?: AbortSignal): Promise<Listening> {
    const onAbort = (): void => this.stopListening();
    if (signal?.aborted === true) onAbort();
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      if (this.#isStopped) throw stopped();
      return await this.#listenAtAll(addresses);
    } catch (error) {
      throw signal?.aborted === true ? aborted(signal) : error;
    } finally {
      signal?.removeEventListener("abort", onAbort);
    }
  }

  async #listenAtAll(addresses: readonly ListenAddress[]): Promise<Listening> {
    const names = addresses.flatMap((address) => ("systemd" in address ? [address.systemd] : []));
    const activated = ACTIVATED_SOCKETS.take(...names);
    const places = addresses.flatMap((address) =>
      "systemd" in address ? (activated.shift() ?? []).map((fd) => ({ fd })) : address,
    );
    const host = { ...this.#host, onSocket: (socket: Socket) => this.#onSocket(socket) };
    this.#acceptors = places.map((place) => new Acceptor(place, host));
    const results = await Promise.allSettled(this.#acceptors.map((acceptor) => acceptor.listen()));
    const failed = results.findIndex((result) => result.status === "rejected");
    if (failed >= 0) {
      this.stopListening();
      throw whyFailed(places, results, failed);
    }
    // Stopped in the turn in which the last of them was bound.
    if (this.#isStopped) throw stopped();
    DESCRIPTOR_RESERVE.join(this.#reserveUser);
    this.#isOpen = true;
    const bound = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
    return { ...(bound[0] as BoundAddress), addresses: bound };
  }

  stopListening(): void {
    this.#isStopped = true;
    DESCRIPTOR_RESERVE.leave(this.#reserveUser);
    for (const acceptor of this.#acceptors) acceptor.stop();
  }

  /** How many sockets were accepted so far. */
  get accepted(): number {
    return this.#acceptors.reduce((sum, { accepted }) => sum + accepted, 0);
  }

  /** Nobody can connect: there are addresses, and none of them is listened at now. */
  get areAllLost(): boolean {
    return this.#acceptors.length > 0 && this.#acceptors.every(({ lost }) => lost !== undefined);
  }

  /** The addresses that are not listened at, in words, for `health()`. */
  reasons(): string[] {
    return this.#acceptors.flatMap(({ lost }) => lost ?? []);
  }

  /** In the order of the options. */
  stats(): AddressStats[] {
    return this.#acceptors.map((acceptor) => acceptor.stats());
  }

  #onSocket(socket: Socket): void {
    DESCRIPTOR_RESERVE.onAccepted();
    // While another address is not bound, it may turn out that there is no server. The client tries again.
    if (this.#isOpen) this.#host.onSocket(socket);
    else discard(socket);
  }
}

/** The error of a place, which may be taken by another place of the same server. */
function whyFailed(
  places: readonly Place[],
  results: readonly PromiseSettledResult<BoundAddress>[],
  at: number,
): unknown {
  const place = places[at] as Place;
  const { reason } = results[at] as PromiseRejectedResult;
  const { cause } = reason as RespliceError;
  const isInUse = codeOf(cause) === "EADDRINUSE";
  const isTwice = isInUse && results.some((result) => result.status === "fulfilled" && overlap(place, result.value));
  return isTwice ? listenFailed(place, "it is given twice in addresses: once is enough", cause) : reason;
}

/** Whether a server that listens at `bound` leaves no room for another at `place`. A name may stand for any address. */
function overlap(place: Place, bound: BoundAddress): boolean {
  if ("path" in place) return place.path === bound.host;
  if ("fd" in place || place.port !== bound.port) return false;
  const { host = "::" } = place;
  return host === bound.host || isIP(host) === 0 || EVERY.has(host) || EVERY.has(bound.host);
}

const EVERY: ReadonlySet<string> = new Set(["::", "0.0.0.0"]);
