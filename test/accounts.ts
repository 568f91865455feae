/** Numbered messages: the account that a plain link gives of each, against those that the server has in the end. */
import { RespliceError, type Delivery, type Traffic, type UndeliveredMessage } from "../src/index.ts";

/** How many messages came to which end. */
export interface Figures {
  delivered: number;
  /** In doubt: of these the server has `there`, and has not `lost`. */
  maybe: { there: number; lost: number };
  notSent: number;
  /** Nothing was said of them. */
  untold: number;
}

export class Accounts {
  /** Statements of the link that cannot be true, whatever the server has. */
  readonly failures: string[] = [];
  /** How many messages the link has only counted. */
  untracked = 0;
  readonly #said = new Map<number, Delivery>();
  readonly #asked: Array<Promise<void>> = [];

  /** A report of the link has messages in the order in which they were sent. */
  takeReport(
    messages: readonly UndeliveredMessage[],
    untracked: Traffic | undefined,
    numberOf: (message: Buffer) => number,
  ): void {
    let before = -1;
    for (const { message, delivery } of messages) {
      const number = numberOf(message);
      if (number <= before) this.failures.push(`${number} was reported behind ${before}`);
      before = number;
      this.#say(number, delivery);
    }
    this.untracked += untracked?.messages ?? 0;
  }

  /** `answer`: of the request with this number. Fulfilled, the server has the message; rejected, the error says more. */
  takeAnswer(number: number, answer: Promise<unknown>): void {
    this.#asked.push(
      answer.then(
        () => this.#say(number, "delivered"),
        (error: unknown) => {
          const delivery = error instanceof RespliceError ? error.delivery : undefined;
          if (delivery === undefined) this.failures.push(`${number} failed with ${String(error)}`);
          else this.#say(number, delivery);
        },
      ),
    );
  }

  #say(number: number, delivery: Delivery): void {
    const before = this.#said.get(number);
    if (before !== undefined) this.failures.push(`${number} is ${before}, and also ${delivery}`);
    this.#said.set(number, delivery);
  }

  /** Resolves when each request has its answer, or has failed. */
  async settled(): Promise<void> {
    await Promise.all(this.#asked);
  }

  /**
   * Messages 0 to `sent` - 1, of which the server `has` some. Of those that nothing was said of: `silence` is what the link
   * means by it.
   */
  compare(sent: number, has: ReadonlySet<number>, silence: "delivered" | "untracked"): Figures {
    const figures: Figures = { delivered: 0, maybe: { there: 0, lost: 0 }, notSent: 0, untold: 0 };
    for (let number = 0; number < sent; number++) {
      const isThere = has.has(number);
      switch (this.#said.get(number) ?? silence) {
        case "delivered":
          if (!isThere) this.failures.push(`${number} is delivered, and the server does not have it`);
          figures.delivered++;
          break;
        case "not-sent":
          if (isThere) this.failures.push(`${number} is not-sent, and the server has it`);
          figures.notSent++;
          break;
        case "maybe":
          figures.maybe[isThere ? "there" : "lost"]++;
          break;
        case "untracked":
          figures.untold++;
      }
    }
    return figures;
  }
}
