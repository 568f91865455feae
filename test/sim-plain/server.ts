/**
 * A server that knows nothing of resplice, or the product's own server of plain links. It notes each whole line that it
 * has read, and answers as its protocol says: "q7" with "a7", in order or in any; "P" with "p" when everything before
 * was read; "L" with "l".
 */
import type { EventClock } from "../../src/testing/clock.ts";
import type { SimNetwork } from "../../src/testing/network.ts";
import type { WorldOptions } from "./draw.ts";
import { ServedLink } from "./served.ts";
import { BareSocket, type Listener, type Speaker } from "./speaker.ts";

export const ADDRESS = "server";

export class PlainServer {
  /** The numbers of the messages that were read, in the order of reading, for each connection. */
  readonly read: number[][] = [];
  /** Answers come so much later, for a while. */
  extraMs = 0;
  refusesLogins = false;
  /** The links of the product's own server. */
  readonly links: ServedLink[] = [];
  readonly #open = new Set<ServerConnection>();

  constructor(network: SimNetwork, options: WorldOptions, random: () => number) {
    const { clock } = network;
    network.listen(ADDRESS, (socket) => {
      const read: number[] = [];
      this.read.push(read);
      const connection = new ServerConnection(this, clock, options, random, read);
      connection.speaker = options.isServed
        ? this.#serve(new ServedLink(socket, clock, options, random, connection))
        : new BareSocket(socket, clock, connection);
      this.#open.add(connection);
    });
  }

  #serve(link: ServedLink): ServedLink {
    this.links.push(link);
    return link;
  }

  closed(connection: ServerConnection): void {
    this.#open.delete(connection);
  }

  /** The newest connection that is open. */
  get newest(): ServerConnection | undefined {
    return [...this.#open].at(-1);
  }
}

export class ServerConnection implements Listener {
  speaker!: Speaker;
  readonly #server: PlainServer;
  readonly #clock: EventClock;
  readonly #options: WorldOptions;
  readonly #random: () => number;
  readonly #read: number[];
  #lastAnswerMs = 0;

  constructor(server: PlainServer, clock: EventClock, options: WorldOptions, random: () => number, read: number[]) {
    this.#server = server;
    this.#clock = clock;
    this.#options = options;
    this.#random = random;
    this.#read = read;
  }

  get refusesLogins(): boolean {
    return this.#server.refusesLogins;
  }

  onClosed(): void {
    this.#server.closed(this);
  }

  onLine(line: string): void {
    if (line === "L") return this.#answer(this.refusesLogins ? "x" : "l", true);
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
    this.speaker.say(text);
  }

  end(): void {
    this.#server.closed(this);
    this.speaker.end();
  }

  rest(ms: number): void {
    this.speaker.rest(ms);
  }
}
