/**
 * A few descriptors that the process keeps, and gives back when its table is full: without one, Node accepts a client
 * and closes it, or turns in vain with all of the CPU if its own spare one was taken (node#45242, libuv#1189). With
 * these, clients are accepted, and told to come back later.
 */
import { closeSync, openSync } from "node:fs";
import { Descriptors } from "./descriptors.ts";
import { type Reader, SYSTEM } from "./reader.ts";
import { MACHINE_PACE, type Pace } from "./sampler.ts";

/** For the calls of `open` that Node's four threads may make at once, and as many connections. */
export const RESERVED = 8;
/** What has to be left beside the reserve, in so many samples in a row, before it is taken again. */
const LEFT_BESIDE = 8;
const CALM_SAMPLES = 4;
/** The table counts as full with so many left: Node's four threads may take them before it is looked at again. */
const FULL = 4;
const SAMPLE_MS = 250;

export interface ReserveUser {
  /** The table is full: the reserve is given back now. */
  onShort(): void;
  /** The reserve was taken, too. */
  onNone(): void;
  /** The reserve is whole again. */
  onRelief(): void;
}

export interface ReserveTerms {
  /** Throws where descriptors cannot be counted: then there is no reserve. */
  open: () => Reader;
  pace: Pace;
}

const MACHINE: ReserveTerms = {
  open: () => {
    if (SYSTEM.platform !== "linux") throw new Error("only Linux tells how many descriptors are open");
    return new Descriptors(SYSTEM);
  },
  pace: MACHINE_PACE,
};

export class DescriptorReserve {
  readonly #terms: ReserveTerms;
  readonly #users = new Set<ReserveUser>();
  readonly #held: number[] = [];
  #reader: Reader | undefined;
  #stop: (() => void) | undefined;
  /** `none`: the users were told so. */
  #state: "whole" | "given" | "none" = "whole";
  #left = Infinity;
  #calmSamples = 0;
  /** Sockets that were accepted since the last sample. */
  #accepted = 0;

  constructor(terms: ReserveTerms = MACHINE) {
    this.#terms = terms;
  }

  /** False while the table is full, or was lately. True where there is no reserve. */
  get isWhole(): boolean {
    return this.#state === "whole";
  }

  /** The first user makes the reserve, the last that leaves gives it back. */
  join(user: ReserveUser): void {
    this.#users.add(user);
    if (this.#users.size === 1) this.#begin();
  }

  leave(user: ReserveUser): void {
    if (this.#users.delete(user) && this.#users.size === 0) this.#end();
  }

  /** A socket was accepted, which has taken a descriptor. Many may be accepted between two samples. */
  onAccepted(): void {
    this.#accepted++;
    if (this.#state === "whole" && this.#left - this.#accepted <= FULL) this.#sample();
  }

  #begin(): void {
    try {
      this.#reader = this.#terms.open();
    } catch {
      return;
    }
    this.#state = this.#take() ? "whole" : "given";
    this.#stop = this.#terms.pace.every(SAMPLE_MS, () => this.#sample());
    this.#sample();
  }

  #end(): void {
    this.#stop?.();
    this.#reader?.close();
    this.#stop = this.#reader = undefined;
    this.#give();
    this.#state = "whole";
    this.#left = Infinity;
  }

  #sample(): void {
    const reading = this.#reader?.read(this.#terms.pace.now());
    if (reading === undefined) return;
    this.#left = (reading.limit ?? Infinity) - reading.observed;
    const accepted = this.#accepted;
    this.#accepted = 0;
    this.#calmSamples = this.#left >= RESERVED + LEFT_BESIDE ? this.#calmSamples + 1 : 0;
    if (this.#state === "whole") {
      if (this.#left <= FULL) this.#short();
    } else if (this.#calmSamples >= CALM_SAMPLES) {
      if (this.#take()) this.#to("whole", "onRelief");
    } else if (this.#state === "given" && this.#left <= 0 && accepted === 0) {
      this.#to("none", "onNone");
    }
  }

  /** Before descriptors are free, so that whoever is accepted by them is refused. */
  #short(): void {
    this.#to("given", "onShort");
    this.#give();
    this.#left += RESERVED;
    this.#calmSamples = 0;
  }

  #to(state: "whole" | "given" | "none", tell: keyof ReserveUser): void {
    this.#state = state;
    for (const user of this.#users) user[tell]();
  }

  /** All, or none. */
  #take(): boolean {
    try {
      while (this.#held.length < RESERVED) this.#held.push(openSync("/dev/null", "r"));
      return true;
    } catch {
      this.#give();
      return false;
    }
  }

  #give(): void {
    for (const descriptor of this.#held.splice(0)) closeSync(descriptor);
  }
}

/** That of this process, for all of its servers. */
export const DESCRIPTOR_RESERVE: DescriptorReserve = new DescriptorReserve();
