/** Resources that functions tell: those of the application, and the accounts of a server's own memory. */
import { types } from "node:util";
import type { Observed, Reader } from "./reader.ts";

/** A resource whose value is what `read` returns. The function may throw, or answer anything. */
export class FunctionReader implements Reader {
  readonly name: string;
  readonly hook: string | undefined;
  readonly #read: () => number;
  readonly #limit: () => number | undefined;

  /** `limit`: asked at each reading, as limits can be changed while the process runs. */
  constructor(name: string, read: () => number, { limit, hook }: { limit?: () => number; hook?: string } = {}) {
    this.name = name;
    this.hook = hook;
    this.#read = read;
    this.#limit = limit ?? (() => undefined);
  }

  /** Throws where the function throws, and where its answer is no number. */
  read(): Observed {
    const answer: unknown = this.#read();
    if (typeof answer === "number" && Number.isFinite(answer)) return { observed: answer, limit: this.#limit() };
    // Nobody else handles the rejection, if it is a promise.
    Promise.resolve(answer).then(undefined, () => {});
    const given = types.isPromise(answer) ? "a promise" : typeof answer === "number" ? answer : typeof answer;
    throw new TypeError(`gave ${given}, where it is to give a number at once`);
  }

  close(): void {}
}
