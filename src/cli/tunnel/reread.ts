/** What a process has read from its files, and reads again on SIGHUP: all of it is new then, or nothing is. */
import { isDeepStrictEqual } from "node:util";

/** Reads the files that the arguments name. `before`: what was read the last time; undefined: this is the first time. */
export type ReadFiles<A, S> = (given: A, before: S | undefined) => Promise<S>;

export class Reread<A extends object, S> {
  readonly #given: A;
  readonly #parse: () => A;
  readonly #read: ReadFiles<A, S>;
  #state: S;
  #last: Promise<unknown> = Promise.resolve();

  private constructor(given: A, parse: () => A, read: ReadFiles<A, S>, state: S) {
    this.#given = given;
    this.#parse = parse;
    this.#read = read;
    this.#state = state;
  }

  /** `parse`: the arguments again, as a file of settings may have others by then. Rejects as `read` does. */
  static async begin<A extends object, S>(given: A, parse: () => A, read: ReadFiles<A, S>): Promise<Reread<A, S>> {
    return new Reread(given, parse, read, await read(given, undefined));
  }

  /** What was read the last time that all of it could be used. */
  get state(): S {
    return this.#state;
  }

  /**
   * Reads again, one time after the other, and has `apply` use what was read. If anything of it throws, so does this, and
   * nothing has changed. Resolves with the names of other arguments that the process was not started with.
   */
  reload(apply: (state: S) => void): Promise<string[]> {
    const next = this.#last.then(() => this.#reload(apply));
    this.#last = next.catch(() => {});
    return next;
  }

  async #reload(apply: (state: S) => void): Promise<string[]> {
    const given = this.#parse();
    const state = await this.#read(given, this.#state);
    apply(state);
    this.#state = state;
    const names = Object.keys(given) as Array<keyof A & string>;
    return names.filter((name) => !RENEWED.has(name) && !isDeepStrictEqual(given[name], this.#given[name]));
  }
}

/** Arguments that are used when they have been read again. The others need a restart. */
const RENEWED: ReadonlySet<string> = new Set(["allow", "notes", "tls", "token", "tokens"]);

/** Reads again on each SIGHUP, and says what became of it. Answers a function that ends that. */
export function onHangUp<A extends object, S>(
  reread: Reread<A, S>,
  apply: (state: S) => void,
  say: (line: string) => void,
): () => void {
  const reload = async (): Promise<void> => {
    try {
      const unchanged = await reread.reload(apply);
      say("SIGHUP: the files are read again, and in use");
      if (unchanged.length > 0) say(`only a restart changes: ${unchanged.join(", ")}`);
    } catch (error) {
      say(`SIGHUP: all stays as it was: ${(error as Error).message}`);
    }
  };
  const onSignal = (): void => void reload();
  process.on("SIGHUP", onSignal);
  return () => void process.off("SIGHUP", onSignal);
}
