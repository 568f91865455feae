/** One attempt to forward a connection: reaches the other server, and says whose connection it is. */
import type { Duplex } from "node:stream";
import { looksLike } from "../../core/wire/strangers.ts";
import { StreamConnection } from "../../io/connection.ts";
import { tlsFailure } from "../../io/tls-options.ts";
import type { Clock, Connection, Timer } from "../../link/ports.ts";
import { printable } from "../../telemetry/printable.ts";
import { Gathered } from "./gathered.ts";
import {
  ANSWER_BYTES,
  encodePreamble,
  GREETING_BYTES,
  type Macs,
  parseAnswer,
  parseGreeting,
  type Preamble,
} from "./preamble.ts";

const MOST_REASON_CHARACTERS = 100;

/** "nobody": there is no such server any more. Otherwise the client is to come back later, for the reason given. */
export type ForwardOutcome = { to: Connection } | "nobody" | { reason: string };

/** A socket that is connecting. `isGone` says whether an error of it means that there is no such server. */
export interface Way {
  readonly socket: Duplex;
  readonly isGone: (error: NodeJS.ErrnoException) => boolean;
}

export class ForwardAttempt {
  readonly #preamble: Preamble;
  readonly #macs: Macs;
  readonly #done: (outcome: ForwardOutcome) => void;
  readonly #timer: Timer;
  #socket: Duplex | undefined;
  /** Takes the listeners of the attempt from its socket. */
  #letGo: () => void = () => {};
  #isOver = false;
  /** The greeting, and then the answer. */
  #expected = new Gathered(() => GREETING_BYTES);
  #greeted: Buffer | undefined;

  /** `done` is called once, unless the attempt is aborted. */
  constructor(
    preamble: Preamble,
    macs: Macs,
    { clock, withinMs }: { clock: Clock; withinMs: number },
    done: (outcome: ForwardOutcome) => void,
  ) {
    this.#preamble = preamble;
    this.#macs = macs;
    this.#done = done;
    this.#timer = clock.timer(() => this.fail("the server that has the session does not answer"));
    this.#timer.set(clock.now() + withinMs);
  }

  begin({ socket, isGone }: Way): void {
    // An error at a moment without another listener would end the process.
    socket.on("error", () => {});
    if (this.#isOver) return void socket.destroy();
    this.#socket = socket;
    const onData = (chunk: Buffer): void => this.#onData(socket, chunk);
    const onError = (error: NodeJS.ErrnoException): void => {
      if (this.#greeted === undefined && isGone(error)) this.#settle("nobody");
      else this.fail(tlsFailure(error));
    };
    const onClosed = (): void => this.fail("the server that has the session has closed the connection");
    socket.on("data", onData).on("error", onError).on("end", onClosed).on("close", onClosed);
    this.#letGo = () => socket.off("data", onData).off("error", onError).off("end", onClosed).off("close", onClosed);
  }

  #onData(socket: Duplex, chunk: Buffer): void {
    if (this.#isOver) return;
    const message = this.#expected.push(chunk);
    if (message === "more") return;
    if (message === "wrong") this.fail(`the server that has the session says what is not expected${looksLike(chunk)}`);
    else if (this.#greeted === undefined) this.#onGreeting(socket, message);
    else this.#onAnswer(socket, message, this.#greeted);
  }

  #onGreeting(socket: Duplex, greeting: Buffer): void {
    this.#greeted = parseGreeting(greeting);
    if (this.#greeted === undefined) return this.fail("the server that has the session speaks another version");
    const preamble = encodePreamble(this.#preamble, this.#greeted, this.#macs);
    if (preamble === undefined) return this.fail("the address or the certificate is too long");
    this.#expected = new Gathered(() => ANSWER_BYTES);
    socket.write(preamble);
  }

  #onAnswer(socket: Duplex, bytes: Buffer, greeted: Buffer): void {
    const answer = parseAnswer(bytes, this.#preamble.nonce, greeted, this.#macs);
    if (answer === undefined) this.fail("the server that has the session does not prove itself");
    else if (answer !== "taken") this.fail(`the server that has the session answers ${answer}`);
    else this.#reached(socket);
  }

  fail(reason: string): void {
    this.#settle({ reason: printable(reason, MOST_REASON_CHARACTERS) });
  }

  /** There is no such server. */
  nobody(): void {
    this.#settle("nobody");
  }

  /** The client has gone. */
  abort(): void {
    this.#isOver = true;
    this.#timer.clear();
    this.#socket?.destroy();
  }

  #reached(socket: Duplex): void {
    this.#isOver = true;
    this.#timer.clear();
    this.#letGo();
    this.#done({ to: new StreamConnection(socket, true) });
  }

  #settle(outcome: ForwardOutcome): void {
    if (this.#isOver) return;
    this.abort();
    this.#done(outcome);
  }
}
