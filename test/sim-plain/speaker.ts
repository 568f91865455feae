/** How a server of the simulation reads and writes a connection. */
import type { EventClock } from "../../src/testing/clock.ts";
import type { SimSocket } from "../../src/testing/network.ts";

/** Reads lines from a connection, and writes them. */
export interface Speaker {
  say(text: string): void;
  /** Ends the connection in order. */
  end(): void;
  /** Reads nothing for so long. */
  rest(ms: number): void;
}

/** Told of what a connection brings. */
export interface Listener {
  /** The server lets nobody in for a while. */
  readonly refusesLogins: boolean;
  onLine(line: string): void;
  onClosed(): void;
}

/** A server that is written by hand. */
export class BareSocket implements Speaker {
  readonly #socket: SimSocket;
  readonly #clock: EventClock;
  #rest = "";
  #isPaused = false;

  constructor(socket: SimSocket, clock: EventClock, listener: Listener) {
    this.#socket = socket;
    this.#clock = clock;
    socket.events = {
      onData: (chunk) => {
        const lines = (this.#rest + chunk.toString("latin1")).split("\n");
        this.#rest = lines.pop() ?? "";
        for (const line of lines) listener.onLine(line);
      },
      onClose: () => listener.onClosed(),
      onDrain: () => {},
    };
  }

  say(text: string): void {
    if (!this.#socket.closed) this.#socket.write(Buffer.from(text, "latin1"));
  }

  end(): void {
    this.#socket.end();
  }

  rest(ms: number): void {
    if (this.#isPaused) return;
    this.#isPaused = true;
    this.#socket.pause();
    this.#clock.schedule(ms, () => {
      this.#isPaused = false;
      this.#socket.resume();
    });
  }
}
