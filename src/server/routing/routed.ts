/** The server of a worker of node:cluster whose connections come from the router in the primary process. */
import { Socket } from "node:net";
import { RespliceError } from "../../link/errors.ts";
import type { Clock } from "../../link/ports.ts";
import { timedWait, type Wait } from "../../link/waits.ts";
import type { BoundAddress, Listening } from "../listening/places.ts";
import { isToServer, type ToRouter } from "./messages.ts";

/** A router answers at once. Its process may be starting all of its workers. */
const ANSWERS_WITHIN_MS = 5_000;
/** A server that ends waits so long for the connections that are on their way to it. */
const LEAVES_WITHIN_MS = 1_000;

type Listener = (message: unknown, handle: unknown) => void;

/** The channel to the primary process: `process`, in a worker. */
export interface RouterChannel {
  send?:
    | ((message: ToRouter, handle: undefined, options: undefined, done: (error: Error | null) => void) => unknown)
    | undefined;
  on(event: "message", listener: Listener): unknown;
  on(event: "disconnect", listener: () => void): unknown;
  off(event: "message", listener: Listener): unknown;
  off(event: "disconnect", listener: () => void): unknown;
}

export class Routed {
  readonly #serverId: string;
  readonly #port: number;
  readonly #clock: Clock;
  readonly #channel: RouterChannel;
  #take: (socket: Socket) => void = (socket) => void socket.destroy();
  #listening: Wait<Listening> | undefined;
  #left: (() => void) | undefined;
  #isHeard = false;

  /** @param port the router's, as it was given to it */
  constructor(serverId: string, port: number, clock: Clock, channel: RouterChannel = process) {
    this.#serverId = serverId;
    this.#port = port;
    this.#clock = clock;
    this.#channel = channel;
  }

  /**
   * Resolves with the address of the router, when `take` gets connections. Each socket is as if it had just been accepted,
   * and nothing that was read of it is missing. Rejects LISTEN_FAILED; INVALID_STATE if it was stopped meanwhile.
   */
  async start(take: (socket: Socket) => void): Promise<Listening> {
    if (this.#channel.send === undefined)
      throw new RespliceError("LISTEN_FAILED", "routed: only in a worker of node:cluster, this process is none");
    this.#take = take;
    const listening = Promise.withResolvers<Listening>();
    this.#listening = listening;
    this.#channel.on("message", this.#onMessage);
    this.#channel.on("disconnect", this.#onDisconnect);
    this.#isHeard = true;
    this.#say("here");
    const late = this.#clock.timer(() =>
      listening.reject(
        new RespliceError("LISTEN_FAILED", `the primary process has no routeConnections({ port: ${this.#port} })`),
      ),
    );
    late.set(this.#clock.now() + ANSWERS_WITHIN_MS);
    try {
      return await listening.promise;
    } finally {
      late.clear();
      this.#listening = undefined;
    }
  }

  /** From now on only connections come that name this server. */
  drain(): void {
    if (this.#isHeard) this.#say("draining");
  }

  /** Resolves when no connection comes any more. Until then they are taken. */
  async stop(): Promise<void> {
    this.#listening?.reject(new RespliceError("INVALID_STATE", "closed before it listened"));
    if (!this.#isHeard) return;
    const { promise, end } = timedWait(this.#clock, this.#clock.now() + LEAVES_WITHIN_MS);
    this.#left = end;
    this.#say("leaving");
    await promise;
    // One that comes later is closed: the router goes on to hear of it.
    this.#take = (socket) => void socket.destroy();
  }

  #say(say: ToRouter["say"]): void {
    const message: ToRouter = { resplice: "to-router", say, port: this.#port, serverId: this.#serverId };
    // A channel that was closed says so with 'disconnect'.
    this.#channel.send?.(message, undefined, undefined, () => {});
  }

  readonly #onMessage: Listener = (message, handle) => {
    if (!isToServer(message)) return;
    if (message.say === "who") {
      if (message.port === this.#port && this.#left === undefined) this.#say("here");
      return;
    }
    if (message.serverId !== this.#serverId) return;
    switch (message.say) {
      case "listening":
        this.#listening?.resolve(listeningAt(message));
        break;
      case "connection":
        // The client may have gone meanwhile: then there is no socket.
        if (handle instanceof Socket) this.#receive(handle, message.bytes);
        break;
      case "left":
        this.#hearNoMore();
        break;
    }
  };

  #receive(socket: Socket, bytes: string): void {
    if (bytes !== "") socket.unshift(Buffer.from(bytes, "base64"));
    this.#take(socket);
  }

  readonly #onDisconnect = (): void => {
    this.#listening?.reject(new RespliceError("LISTEN_FAILED", "the primary process has closed the channel"));
    this.#hearNoMore();
  };

  #hearNoMore(): void {
    this.#isHeard = false;
    this.#channel.off("message", this.#onMessage);
    this.#channel.off("disconnect", this.#onDisconnect);
    this.#left?.();
  }
}

function listeningAt({ host, port }: BoundAddress): Listening {
  return { host, port, addresses: [{ host, port }] };
}
