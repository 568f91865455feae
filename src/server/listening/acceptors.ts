/** All places at which a server listens. */
import type { Socket } from "node:net";
import { discard } from "../../io/connection.ts";
import { Acceptor, type AcceptorHost, type AddressStats } from "./acceptor.ts";
import type { BoundAddress, ListenAddress, Listening } from "./places.ts";
import { ACTIVATED_SOCKETS } from "./systemd.ts";

export class Acceptors {
  readonly #host: AcceptorHost;
  #acceptors: readonly Acceptor[] = [];
  #isOpen = false;

  constructor(host: AcceptorHost) {
    this.#host = host;
  }

  /** At all addresses, or at none. Rejects LISTEN_FAILED; INVALID_STATE if it is stopped meanwhile. */
  async listen(addresses: readonly ListenAddress[]): Promise<Listening> {
    const places = addresses.flatMap((address) =>
      "systemd" in address ? ACTIVATED_SOCKETS.take(address.systemd).map((fd) => ({ fd })) : address,
    );
    const host = { ...this.#host, onSocket: (socket: Socket) => this.#onSocket(socket) };
    this.#acceptors = places.map((place) => new Acceptor(place, host));
    const results = await Promise.allSettled(this.#acceptors.map((acceptor) => acceptor.listen()));
    const failed = results.find((result) => result.status === "rejected");
    if (failed !== undefined) {
      this.stopListening();
      throw failed.reason;
    }
    this.#isOpen = true;
    const bound = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
    return { ...(bound[0] as BoundAddress), addresses: bound };
  }

  stopListening(): void {
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
    // While another address is not bound, it may turn out that there is no server. The client tries again.
    if (this.#isOpen) this.#host.onSocket(socket);
    else discard(socket);
  }
}
