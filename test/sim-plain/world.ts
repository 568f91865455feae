/** One world: a client, a server, what goes wrong between them, and what must hold in the end. */
import { EventClock } from "../../src/testing/clock.ts";
import { SimNetwork } from "../../src/testing/network.ts";
import { seeded } from "../../src/testing/random.ts";
import { PlainClient } from "./client.ts";
import type { Fault, Schedule } from "./draw.ts";
import { check, checkAscending } from "./ledger.ts";
import { ADDRESS, PlainServer } from "./server.ts";

const MOST_STEPS = 200_000;
/** The shortest deadline, less the longest time that an answer takes. */
const MOST_ASLEEP_MS = 1_500;
/** Everything is settled within this time once nothing goes wrong any more. */
const SETTLED_WITHIN_MS = 60_000;

export class World {
  readonly clock: EventClock = new EventClock();
  readonly network: SimNetwork;
  readonly server: PlainServer;
  readonly client: PlainClient;
  readonly #schedule: Schedule;
  readonly #random: () => number;
  #steps = 0;

  constructor(schedule: Schedule) {
    const { seed, options } = schedule;
    this.#schedule = schedule;
    this.#random = seeded(seed);
    this.network = new SimNetwork(this.clock, seeded(seed + 1), options.kernelBytes);
    this.network.path(ADDRESS).latencyMs = options.latencyMs;
    this.server = new PlainServer(this.network, options, seeded(seed + 2));
    this.client = new PlainClient(this.network, options, this.#random);
  }

  run(): void {
    const { faults, options } = this.#schedule;
    for (const fault of faults) this.clock.schedule(fault.atMs, () => this.#strike(fault));
    let atMs = 0;
    for (let n = 0; n < options.messages; n++) {
      atMs += this.#random() * options.sendEveryMs;
      this.clock.schedule(atMs, () => this.client.send());
    }
    const overMs = Math.max(atMs, faults.at(-1)?.atMs ?? 0) + 10 * this.#random();
    while (this.clock.step(overMs)) this.#count();
    this.#heal();
    this.client.core.end();
    if (this.#random() < 0.5) this.client.core.stopReading();
    this.client.driver.run();
    // Without close() the link ends when its server does.
    this.#until(() => this.client.core.outputDone || this.client.core.ended, "the messages were not brought to an end");
    this.client.core.stopReading();
    this.client.driver.run();
    this.#until(() => this.client.core.ended, "the link has not ended");
    const graceMs = this.clock.nowMs + 10_000;
    while (this.clock.step(graceMs)) this.#count();
    this.#checkAccounts();
  }

  #until(done: () => boolean, what: string): void {
    const untilMs = this.clock.nowMs + SETTLED_WITHIN_MS;
    while (!done()) {
      check(this.clock.step(untilMs), () => what);
      this.#count();
    }
  }

  #count(): void {
    check(++this.#steps < MOST_STEPS, () => "no end of steps");
  }

  #strike({ kind, amount }: Fault): void {
    const path = this.network.path(ADDRESS);
    const [wire] = this.network.wires(ADDRESS).toReversed();
    const { newest } = this.server;
    const isInOrder = this.#schedule.options.protocol === "in-order";
    this.client.note(`fault: ${kind} ${amount}`);
    switch (kind) {
      case "cut":
        return wire?.cutNow("ECONNRESET");
      case "cut-after":
        return wire?.cutAfter(amount);
      case "cut-here":
        return wire?.cutAt("client");
      case "fin":
        return newest?.end();
      case "fin-in-a-line":
        newest?.say("!1");
        return newest?.end();
      case "stall":
        path.stalled["to-server"] = this.#random() < 0.7;
        path.stalled["to-client"] = !path.stalled["to-server"] || this.#random() < 0.5;
        this.clock.schedule(amount, () => this.#go());
        return;
      case "silence":
        wire?.swallow("to-server");
        if (this.#random() < 0.5) wire?.swallow("to-client");
        return;
      case "slow-server":
        return newest?.rest(amount);
      case "slow-answers":
        this.server.extraMs = amount;
        this.clock.schedule(amount, () => (this.server.extraMs = 0));
        return;
      case "poison":
        return newest?.say(this.#random() < 0.5 || isInOrder ? "poison\n" : "a999999\n");
      case "late-refusal":
        if (this.#schedule.options.protocol === "silent") newest?.say("R\n");
        this.server.refusesLogins = true;
        this.clock.schedule(amount, () => (this.server.refusesLogins = false));
        return;
      case "refuse":
        path.refuses = true;
        this.clock.schedule(amount, () => (path.refuses = false));
        return;
      case "asleep":
        // Asleep twice at once, it is awake when both times are over.
        this.client.sleepy.awakeMs = Math.max(this.client.sleepy.awakeMs, this.clock.nowMs + amount);
    }
  }

  #go(): void {
    const path = this.network.path(ADDRESS);
    path.stalled["to-server"] = path.stalled["to-client"] = false;
    this.network.resume(ADDRESS);
  }

  #heal(): void {
    this.#go();
    this.network.path(ADDRESS).refuses = false;
    this.server.extraMs = 0;
    this.server.refusesLogins = false;
    // A path that swallows what is written never heals, and is given up only where an answer is awaited.
    for (const wire of this.network.wires(ADDRESS)) if (wire.client.swallowed) wire.cutNow("ETIMEDOUT");
    this.client.note("healed");
  }

  /** The report is never wrong. */
  #checkAccounts(): void {
    const { core, ledger } = this.client;
    for (const link of this.server.links) link.checkAccounts(this.client.readOn(link.wire));
    const { options } = this.#schedule;
    const read = this.server.read.flat();
    const readOnce = new Set(read);
    for (const numbers of this.server.read) {
      checkAscending(options.resendInFlight ? [] : numbers, "read on one connection");
    }
    if (!options.resendInFlight) check(read.length === readOnce.size, () => "a message was read twice");
    for (const number of ledger.with("delivered")) {
      check(readOnce.has(number), () => `message ${number} is delivered, and was not read`);
    }
    for (const number of ledger.with("not-sent")) {
      check(!readOnce.has(number), () => `message ${number} is not sent, and was read`);
    }
    const accepted = core.accepted().messages;
    const reported = ledger.with("maybe").length + ledger.with("not-sent").length;
    const sum = accepted + reported + ledger.untracked;
    check(
      sum === ledger.taken,
      () => `${sum} accounted for (${accepted} accepted, ${reported}), ${ledger.taken} taken`,
    );
    const unaccounted = Array.from({ length: ledger.taken }, (_, n) => n).filter((n) => {
      const fate = ledger.fates.get(n);
      return fate !== "maybe" && fate !== "not-sent" && !readOnce.has(n);
    });
    check(unaccounted.length <= ledger.untracked, () => `lost and not reported: ${unaccounted.join(" ")}`);
    check(this.client.outcome === "closed", () => `ended as ${this.client.outcome}`);
    if (this.#isCalm) this.#checkCalm(reported - this.client.boundNotSent);
  }

  /**
   * Nothing goes wrong but dials and our own short sleep. A path of a few bytes at a time is so slow that it is given
   * up with reason, and a longer sleep may end within a second after a deadline.
   */
  get #isCalm(): boolean {
    const { faults, options } = this.#schedule;
    const asleepMs = faults.reduce((sum, { kind, amount }) => sum + (kind === "asleep" ? amount : 0), 0);
    const isHarmless = faults.every(({ kind }) => kind === "asleep" || kind === "refuse");
    return isHarmless && asleepMs < MOST_ASLEEP_MS && options.kernelBytes >= 2_000;
  }

  #checkCalm(reported: number): void {
    const calm = new Set(["idle", "aged"]);
    const odd = this.client.reasons.filter((reason) => !calm.has(reason));
    check(odd.length === 0, () => `given up without need: ${odd.join(", ")}`);
    check(reported === 0, () => `${reported} reported, and nothing was lost`);
  }
}
