/** A typed emitter that throws for a listener to an event that it never emits, such as one with a misspelled name. */
import { EventEmitter } from "eventemitter3";
import { RespliceError } from "./errors.ts";

export abstract class CheckedEmitter<Events extends object> extends EventEmitter<Events> {
  readonly #known: ReadonlySet<unknown>;

  /** `known`: the names of all events that it emits. */
  constructor(known: ReadonlySet<unknown>) {
    super();
    this.#known = known;
  }

  override on<E extends EventEmitter.EventNames<Events>>(
    name: E,
    listener: EventEmitter.EventListener<Events, E>,
  ): this {
    return super.on(this.#check(name), listener);
  }

  override addListener<E extends EventEmitter.EventNames<Events>>(
    name: E,
    listener: EventEmitter.EventListener<Events, E>,
  ): this {
    return this.on(name, listener);
  }

  override once<E extends EventEmitter.EventNames<Events>>(
    name: E,
    listener: EventEmitter.EventListener<Events, E>,
  ): this {
    return super.once(this.#check(name), listener);
  }

  #check<E>(name: E): E {
    if (this.#known.has(name)) return name;
    const known = [...this.#known].join(", ");
    throw new RespliceError("INVALID_ARGUMENT", `there is no event '${String(name)}', only ${known}`);
  }
}
