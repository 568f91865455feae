/**
 * A plain link of lines through a proxy, to a server that remembers what it has read. Each message has a number. In the end
 * what the link has said of each is compared with what the server has.
 */
import { once } from "node:events";
import net from "node:net";
import { setTimeout as pause } from "node:timers/promises";

import { expect } from "vitest";

import { ConnectionManager, lines, type OpenPlainOptions, plain, type PlainLink, type PlainOptions } from "resplice";

import { Accounts, type Figures } from "../../accounts.ts";
import { QUICK, turned } from "../../support.ts";
import { type ChaosProxy, openProxy, type ProxyOptions } from "./proxy.ts";

export interface PlainTalkOptions {
  /** With `requests` the server answers each message, and every second one is sent with request(). */
  plain?: Partial<PlainOptions>;
  client?: Omit<OpenPlainOptions, "protocol">;
  proxy?: Partial<ProxyOptions>;
  /** Bytes of message `number`, besides the number. Default 100. */
  sizeOf?: (number: number) => number;
}

export interface PlainTalk extends AsyncDisposable {
  readonly proxy: ChaosProxy;
  readonly link: PlainLink;
  /** Resolves when the server has read so many messages more. */
  read(count: number): Promise<void>;
  /** Cuts the path; resolves when the link has noticed. */
  cut(): Promise<void>;
  /** Sends all the time while `harm` is at work. */
  during(harm: () => Promise<void>): Promise<void>;
  /**
   * Sends some messages more, which arrive; then some that cannot, and ends the link. Checks what was said of each message,
   * and their order. `twice`: so many messages were read again on another connection.
   */
  finish(): Promise<Figures & { twice: number }>;
}

/** So many messages finish() sends on a path that is whole, and as many on one that is gone. Even: the last is a request. */
const LAST = 100;
/** No more is sent while so many messages wait: a narrow path would take long for them. */
const MOST_WAITING = 100;
const PROBE = "probe";

export async function talkPlainly(options: PlainTalkOptions = {}): Promise<PlainTalk> {
  const sizeOf = options.sizeOf ?? (() => 100);
  const textOf = (number: number): string => `${number} ${"x".repeat(sizeOf(number))}`;
  const hasAnswers = options.plain?.requests !== undefined;
  const server = new Reader(textOf, hasAnswers);
  const proxy = await openProxy({ upstreamPort: await server.listen(), ...options.proxy });
  const manager = new ConnectionManager();
  const protocol = plain({ framing: lines(), ...(hasAnswers && { probe: { message: PROBE } }), ...options.plain });
  const link = manager.open({ host: proxy.host, port: proxy.port, reconnect: QUICK, ...options.client, protocol });
  const accounts = new Accounts();
  link.on("undelivered", ({ messages, untracked }) => accounts.takeReport(messages, untracked, numberOf));

  let sent = 0;
  const send = async (count: number): Promise<void> => {
    for (let n = 0; n < count; n++) {
      const number = sent++;
      if (hasAnswers && number % 2 === 1) accounts.takeAnswer(number, ask(link, textOf(number), answerTo(number)));
      else await link.send(textOf(number));
    }
  };

  const lost = async (harm: () => Promise<void>): Promise<void> => {
    const noticed = turned(link, "reconnecting");
    await harm();
    await noticed;
  };

  return {
    proxy,
    link,
    read: (count) => server.more(count),
    cut: () => lost(() => proxy.cut()),
    during: async (harm) => {
      let isOver = false;
      const sending = (async () => {
        while (!isOver) {
          if (link.stats().queue.messages < MOST_WAITING) await send(20);
          await pause(1);
        }
      })();
      await harm().finally(() => (isOver = true));
      await sending;
    },
    finish: async () => {
      const arrived = server.reached(sent + LAST - 1);
      await send(LAST);
      await Promise.all([arrived, accounts.settled()]);
      await lost(() => proxy.down());
      await send(LAST);
      const { undelivered, untracked } = await link.close({ deadlineMs: 0 });
      accounts.takeReport(undelivered, untracked, numberOf);
      await Promise.all([server.close(), accounts.settled()]);
      const all = server.read.flat();
      const has = new Set(all);
      const figures = accounts.compare(sent, has, hasAnswers ? "delivered" : "untracked");
      expect([...server.failures, ...accounts.failures]).toEqual([]);
      expectOrder(server.read, options.plain?.resendInFlight ?? false);
      expect(figures.notSent).toBe(LAST);
      expect(figures.untold).toBe(accounts.untracked);
      expect(link.stats().accepted.messages).toBe(figures.delivered);
      return { ...figures, twice: all.length - has.size };
    },
    [Symbol.asyncDispose]: async () => {
      await manager.close({ deadlineMs: 0 });
      await proxy.close();
      await server.close();
    },
  };
}

async function ask(link: PlainLink, text: string, expected: string): Promise<void> {
  const answer = String(await link.request(text));
  if (answer !== expected) throw new Error(`the answer of another: ${answer}`);
}

function numberOf(message: Buffer | string): number {
  return Number.parseInt(String(message), 10);
}

function answerTo(number: number): string {
  return `ok ${number}`;
}

/** A connection goes on behind the one before it; where messages are sent again, none between is left out. */
function expectOrder(connections: readonly number[][], isSentAgain: boolean): void {
  let last = -1;
  for (const [first, ...others] of connections) {
    if (first === undefined) continue;
    if (isSentAgain) expect(first).toBeLessThanOrEqual(last + 1);
    else expect(first).toBeGreaterThan(last);
    last = first;
    for (const number of others) {
      if (number <= last || (isSentAgain && number !== last + 1)) expect.fail(`${number} was read behind ${last}`);
      last = number;
    }
  }
}

/** A server of lines, which remembers their numbers. */
class Reader {
  /** Of each connection, in the order in which they came. */
  readonly read: number[][] = [];
  readonly failures: string[] = [];
  readonly #textOf: (number: number) => string;
  readonly #answers: boolean;
  readonly #server: net.Server;
  #waiting: Array<{ isHere: (number: number) => boolean; resolve: () => void }> = [];

  constructor(textOf: (number: number) => string, answers: boolean) {
    this.#textOf = textOf;
    this.#answers = answers;
    this.#server = net.createServer((socket) => this.#serve(socket));
  }

  async listen(): Promise<number> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return (this.#server.address() as net.AddressInfo).port;
  }

  #serve(socket: net.Socket): void {
    const numbers: number[] = [];
    this.read.push(numbers);
    socket.on("error", () => {});
    let rest = "";
    socket.on("data", (chunk: Buffer) => {
      const all = (rest + chunk.toString("latin1")).split("\n");
      rest = all.pop() ?? "";
      const answers = all.map((line) => (line === PROBE ? "alive" : this.#take(line, numbers)));
      if (this.#answers && answers.length > 0) socket.write(`${answers.join("\n")}\n`);
    });
  }

  #take(line: string, numbers: number[]): string {
    const number = numberOf(line);
    if (line !== this.#textOf(number)) this.failures.push(`the server has read ${line}`);
    numbers.push(number);
    this.#waiting = this.#waiting.filter(({ isHere, resolve }) => {
      const here = isHere(number);
      if (here) resolve();
      return !here;
    });
    return answerTo(number);
  }

  /** Resolves when so many messages more were read. */
  more(count: number): Promise<void> {
    let left = count;
    return this.#until(() => --left === 0);
  }

  /** Resolves when this message was read. */
  reached(number: number): Promise<void> {
    return this.#until((read) => read === number);
  }

  #until(isHere: (number: number) => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push({ isHere, resolve });
    });
  }

  /** Resolves when its connections are closed: everything that came was read. */
  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
    });
  }
}
