/**
 * A server that knows nothing of resplice. It notes each whole line that it has read, and answers as its protocol says:
 * "q7" with "a7", in order or in any; "P" with "p" when everything before was read; "L" with "l".
 */
import type { EventClock } from "../../src/testing/clock.ts";
import type { SimNetwork, SimSocket } from "../../src/testing/network.ts";
import type { WorldOptions } from "./draw.ts";

export const ADDRESS = "server";

export class PlainServer {
  /** The numbers of the messages that were read, in the order of reading, for each connection. */
  readonly read: number[][] = [];
  /** Answers come so much later, for a while. */
  extraMs = 0;
  refusesLogins = false;
  readonly #open = new Set<ServerConnection>();

  constructor(network: SimNetwork, options: WorldOptions, random: () => number) {
    network.listen(ADDRESS, (socket) => {
      const read: number[] = [];
      this.read.push(read);
      this.#open.add(new ServerConnection(this, network.clock, socket, options, random, read));
    });
  }

  closed(connection: ServerConnection): void {
    this.#open.delete(connection);
  }

  /** The newest connection that is open. */
  get newest(): ServerConnection | undefined {
    return [...this.#open].at(-1);
  }
}

export class ServerConnection {
  readonly #server: PlainServer;
  readonly #clock: EventClock;
  readonly #socket: SimSocket;
  readonly #options: WorldOptions;
  readonly #random: () => number;
  readonly #read: number[];
  #rest = "";
  #lastAnswerMs = 0;
  #isPaused = false;

  constructor(
    server: PlainServer,
    clock: EventClock,
    socket: SimSocket,
    options: WorldOptions,
    random: () => number,
    read: number[],
  ) {
    this.#server = server;
    this.#clock = clock;
    this.#socket = socket;
    this.#options = options;
    this.#random = random;
    this.#read = read;
    socket.events = {
      onData: (chunk) => this.#onData(chunk.toString("latin1")),
      onClose: () => server.closed(this),
      onDrain: () => {},
    };
  }

  #onData(text: string): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#onLine(line);
  }

  #onLine(line: string): void {
    if (line === "L") return this.#answer(this.#server.refusesLogins ? "x" : "l", true);
    if (line === "P") return this.#answer("p", true);
    const [, kind, digits] = /^([qs])(\d+)/u.exec(line) ?? [];
    const number = Number(digits);
    if (digits === undefined) throw new Error(`the server has read ${JSON.stringify(line.slice(0, 40))}`);
    this.#read.push(number);
    const { protocol, pushEach } = this.#options;
    if (pushEach > 0 && number % pushEach === 0) this.#answer(`!${number}`, protocol !== "by-id");
    if (protocol === "in-order" || (protocol === "by-id" && kind === "q")) {
      const part = this.#random() < 0.2 ? `m${number}\n` : "";
      this.#answer(`${part}a${number}`, protocol === "in-order" || this.#random() < 0.3);
    }
  }

  /** `inOrder`: not before what was answered before. */
  #answer(line: string, inOrder: boolean): void {
    const wantedMs = this.#clock.nowMs + this.#random() * (this.#options.answerWithinMs + this.#server.extraMs);
    const atMs = inOrder ? Math.max(wantedMs, this.#lastAnswerMs) : wantedMs;
    this.#lastAnswerMs = Math.max(this.#lastAnswerMs, atMs);
    this.#clock.schedule(atMs - this.#clock.nowMs, () => this.say(`${line}\n`));
  }

  say(text: string): void {
    if (!this.#socket.closed) this.#socket.write(Buffer.from(text, "latin1"));
  }

  end(): void {
    this.#server.closed(this);
    this.#socket.end();
  }

  /** Reads nothing for so long. */
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
