/**
 * The queue as its senders see it: some wait, some only try, some give up, while a connection takes what it likes and goes
 * away. Never above its bounds, never a message twice, out of turn or forgotten, and nobody waits while there is room.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { BlockPool } from "../../src/core/log/blocks.ts";
import { Sender } from "../../src/core/log/sender.ts";
import { Account, Flight, RoundTrip } from "../../src/core/log/window.ts";
import { type Ticket, Tickets } from "../../src/core/session/tickets.ts";
import { RespliceError } from "../../src/link/errors.ts";
import { Outgoing } from "../../src/link/outgoing.ts";
import type { Clock } from "../../src/link/ports.ts";
import type { Outbound } from "../../src/link/protocol.ts";
import { ampleAccount, CountingBudget } from "../core/support.ts";
import { runs } from "../properties.ts";

/** Two writes' worth: as far as a sender that waits is let ahead of its connection. */
const AHEAD_BYTES = 131_072;
/** So much is taken in a turn of the event loop from those who wait. */
const TURN_BYTES = 1_048_576;
const QUEUE = { maxMessages: 12, maxBytes: 1_600_000, policy: undefined };
const MAX_MESSAGE_BYTES = 400_000;
const PLENTY = 1_000_000_000;

/** What the queue asks of a protocol, with the real sender behind it and a peer that takes and accepts everything. */
class Core {
  readonly mode = "messages";
  readonly overheadBytes = 4;
  readonly maxMessageBytes = MAX_MESSAGE_BYTES;
  readonly session = { sender: new Sender("messages", new BlockPool(), ampleAccount(), Infinity) };
  readonly #budget = new CountingBudget();
  readonly #tickets = new Tickets();
  adopted: object | undefined;
  ended = false;
  readonly #flight = new Flight(new RoundTrip());

  get sendingEnded(): boolean {
    return this.session.sender.ended;
  }

  get roomMessages(): number {
    return QUEUE.maxMessages - this.session.sender.queuedMessages;
  }

  get roomBytes(): number {
    return QUEUE.maxBytes - this.session.sender.queuedBytes;
  }

  get takenBytes(): number {
    return this.session.sender.log.end;
  }

  get unackedBytes(): number {
    return this.session.sender.unackedBytes;
  }

  get queuedBytes(): number {
    return this.session.sender.queuedBytes;
  }

  ticket(covers: Ticket["covers"]): Ticket {
    return this.#tickets.issue(covers, this.takenBytes);
  }

  withdraw(ticket: Ticket): boolean {
    return this.#tickets.withdraw(ticket, this.session.sender.log.start);
  }

  takeDelivered(): readonly Ticket[] {
    return this.#tickets.takeDelivered(this.session.sender.log.start);
  }

  newAccount(): Account {
    return new Account(this.session.sender.log.account.minimum, this.#budget);
  }

  hasRoom(bytes: number): boolean {
    return this.roomMessages > 0 && bytes + 4 <= this.roomBytes;
  }

  take(payload: Uint8Array | string, bytes: number, given: boolean): void {
    this.session.sender.take(payload, bytes, given);
  }

  connect(): void {
    this.adopted = {};
    this.session.sender.restart(this.session.sender.acked, PLENTY);
  }

  write(bytes: number): void {
    if (this.adopted === undefined) return;
    this.#flight.limitBytes = PLENTY;
    this.session.sender.write([], bytes, this.#flight, 0);
  }

  /** All messages that were written whole. */
  accept(): void {
    const { sender } = this.session;
    const last = sender.log.messages().findLast((message) => message.end <= sender.highestSent);
    if (sender.endKind !== "none" && sender.highestSent > sender.endAt) sender.onAccepted(sender.highestSent);
    else if (last !== undefined) sender.onAccepted(last.end);
  }
}

/** One who asked for something. */
interface Asked {
  kind: "send" | "accepted" | "ready" | "flush";
  /** Of the message; for a flush, of the last one that was taken. */
  number: number;
  /** Of the message; for ready(), what trySend() had no room for. */
  bytes: number;
  settled: number;
  error: RespliceError | undefined;
  abort: AbortController;
}

class World {
  readonly core = new Core();
  readonly asked: Asked[] = [];
  /** Numbers in the order in which they were taken. */
  readonly taken: number[] = [];
  /** Those who have waited for room, if only for a while. */
  readonly waited = new Set<Asked>();
  /** There was a ready() by now: from then on a false may be about pace. */
  paced = false;
  /** What trySend() last had no room for. */
  refusedBytes = 0;
  #numbers = 0;
  /** Where the log ended when the turn began, and what is to run in the next one. */
  turnFrom = 0;
  #nextTurn: Array<() => void> = [];
  readonly #clock: Pick<Clock, "afterPoll"> = {
    afterPoll: (run, of) => void this.#nextTurn.push(() => run(of)),
  };
  readonly #driver = { clock: this.#clock as Clock, changed: () => {}, run: () => {} };
  readonly outgoing = new Outgoing(this.core as unknown as Outbound, QUEUE, this.#driver, {
    endedError: () => new RespliceError("LINK_ENDED", "the link has ended", { delivery: "not-sent" }),
    reports: { hearsUndelivered: false, onDropped: () => {}, onCallLost: () => {}, emitAll: () => {} },
  });

  payload(bytes: number): Buffer {
    const payload = Buffer.alloc(bytes);
    payload.writeUInt32BE(++this.#numbers, 0);
    return payload;
  }

  ask(
    kind: Asked["kind"],
    bytes: number,
    begin: (signal: AbortSignal) => Promise<void>,
    number: number = this.#numbers,
  ): void {
    const abort = new AbortController();
    const asked: Asked = { kind, number, bytes, settled: 0, error: undefined, abort };
    this.asked.push(asked);
    begin(abort.signal).then(
      () => asked.settled++,
      (error: unknown) => {
        asked.settled++;
        asked.error = error as RespliceError;
      },
    );
  }

  /** Those who wait for room, first come first served. */
  get waiters(): Asked[] {
    return this.asked.filter(
      ({ kind, number, settled }) =>
        settled === 0 && kind !== "flush" && (kind !== "accepted" || !this.taken.includes(number)),
    );
  }

  turn(): void {
    if (this.#nextTurn.length === 0) return;
    this.turnFrom = this.core.session.sender.log.end;
    for (const run of this.#nextTurn.splice(0)) run();
  }

  get turnIsUsed(): boolean {
    return this.core.session.sender.log.end - this.turnFrom >= TURN_BYTES;
  }

  get aheadBytes(): number {
    return this.core.adopted === undefined ? 0 : this.core.session.sender.queuedBytes;
  }

  /** As the driver does after each step; then everything that can settle has settled. */
  async settle(): Promise<void> {
    this.outgoing.progress();
    for (let hop = 0; hop < 8; hop++) await Promise.resolve();
    const { core } = this;
    const kept = core.session.sender.log.messages().map(({ payload }) => payload.readUInt32BE(0));
    const fresh = kept.filter((number) => !this.taken.includes(number));
    this.taken.push(...fresh);
    if (fresh.length > 0) this.refusedBytes = 0;
    expect(this.taken).toEqual(this.taken.toSorted((a, b) => a - b));
    expect(Math.min(core.roomMessages, core.roomBytes)).toBeGreaterThanOrEqual(0);
    for (const asked of this.asked) this.#check(asked, kept);
    const { waiters } = this;
    for (const waiter of waiters) this.waited.add(waiter);
    const [first] = waiters;
    if (first === undefined) return;
    const isPaced = first.kind === "ready" && (this.turnIsUsed || this.aheadBytes > AHEAD_BYTES / 2);
    expect(!core.hasRoom(first.bytes) || isPaced).toBe(true);
  }

  #check({ kind, number, settled, error }: Asked, kept: readonly number[]): void {
    expect(settled).toBeLessThanOrEqual(1);
    const isTaken = this.taken.includes(number);
    const isAccepted = isTaken && !kept.includes(number);
    const isDone = settled === 1 && error === undefined;
    if (kind === "send") expect(isTaken).toBe(isDone);
    if (kind === "accepted" && error === undefined) expect(isAccepted).toBe(isDone);
    if (kind === "flush" && isDone) expect(kept.filter((other) => other <= number)).toEqual([]);
  }
}

class Do implements fc.AsyncCommand<World, World> {
  readonly #text: string;
  readonly #run: (world: World) => void;

  constructor(text: string, run: (world: World) => void) {
    this.#text = text;
    this.#run = run;
  }

  check(): boolean {
    return true;
  }

  async run(_: World, world: World): Promise<void> {
    this.#run(world);
    await world.settle();
  }

  toString(): string {
    return this.#text;
  }
}

const payloadBytes = fc.oneof(
  { weight: 2, arbitrary: fc.integer({ min: 4, max: 200 }) },
  { weight: 3, arbitrary: fc.integer({ min: 40_000, max: MAX_MESSAGE_BYTES }) },
  // Four of the first fill the queue to the last byte.
  { weight: 3, arbitrary: fc.constantFrom(399_996, 399_996, 399_998) },
);
const trySend = payloadBytes.map(
  (bytes) =>
    new Do(`trySend ${bytes} bytes`, (world) => {
      const { core, outgoing, aheadBytes } = world;
      if (core.sendingEnded) return;
      const hadRoom = core.hasRoom(bytes) && world.waiters.length === 0;
      const took = outgoing.trySend(world.payload(bytes), undefined);
      if (!took) world.refusedBytes = bytes;
      if (took) expect(hadRoom).toBe(true);
      else if (hadRoom) expect([world.paced, world.turnIsUsed || aheadBytes >= AHEAD_BYTES]).toEqual([true, true]);
    }),
);
const send = fc.tuple(payloadBytes, fc.boolean()).map(
  ([bytes, untilAccepted]) =>
    new Do(`send ${bytes} bytes${untilAccepted ? " until accepted" : ""}`, (world) => {
      if (world.core.sendingEnded) return;
      const payload = world.payload(bytes);
      const until = untilAccepted ? "accepted" : "taken";
      world.ask(untilAccepted ? "accepted" : "send", bytes, (signal) =>
        world.outgoing.send(payload, { signal, until }),
      );
      // It is the caller's again, taken or not.
      payload.fill(0xee);
    }),
);
const ready = fc.constant(
  new Do("ready", (world) => {
    if (world.core.sendingEnded) return;
    world.paced = true;
    world.ask("ready", world.refusedBytes, (signal) => world.outgoing.ready({ signal }));
  }),
);
const flush = fc.constant(
  new Do("flush", (world) => {
    world.ask("flush", 0, (signal) => world.outgoing.flush({ signal }), world.taken.at(-1) ?? 0);
  }),
);
const abort = fc.nat().map(
  (at) =>
    new Do("one who waits gives up", ({ asked }) => {
      const waiting = asked.filter(({ settled }) => settled === 0);
      waiting[at % Math.max(1, waiting.length)]?.abort.abort();
    }),
);
const write = fc
  .integer({ min: 1, max: 800_000 })
  .map((bytes) => new Do(`the connection takes ${bytes} bytes`, ({ core }) => core.write(bytes)));
const nextTurn = fc.constant(new Do("the next turn", (world) => world.turn()));
const accept = fc.constant(new Do("the peer accepts", ({ core }) => core.accept()));
const connect = fc.constant(new Do("connected", ({ core }) => core.connect()));
const disconnect = fc.constant(
  new Do("disconnected", ({ core }) => {
    core.adopted = undefined;
  }),
);
const end = fc.constant(
  new Do("the direction ends", ({ core, outgoing }) => {
    core.session.sender.end("final");
    outgoing.sendingEnded();
  }),
);
// A command is drawn from each alike: what is to come often stands here often.
const often = [trySend, trySend, trySend, send, send, write, write, accept, nextTurn];
const steps = [...often, ...often, ...often, ...often, ready, ready, flush, abort, connect, connect, disconnect, end];

/** It takes as long as its cases do, on a machine that does other work too. */
const SLOW = { timeout: 60_000 };

test("nothing is above its bound, out of turn or twice, and nobody waits while there is room", SLOW, async () => {
  const counts = { taken: 0, waited: 0 };
  await fc.assert(
    fc.asyncProperty(fc.commands(steps, { maxCommands: 80, size: "max" }), async (commands) => {
      const world = new World();
      await fc.asyncModelRun(() => ({ model: world, real: world }), commands);
      // In the end the connection is there and the peer takes everything: nobody is left who waits.
      world.core.connect();
      for (let turn = 0; turn < 100 && world.asked.some(({ settled }) => settled === 0); turn++) {
        world.core.write(PLENTY);
        world.core.accept();
        world.turn();
        await world.settle();
      }
      for (const { settled } of world.asked) expect(settled).toBe(1);
      counts.taken += world.taken.length;
      counts.waited += world.waited.size;
    }),
    { numRuns: runs(80) },
  );
  expect(counts.taken).toBeGreaterThan(300);
  expect(counts.waited).toBeGreaterThan(50);
});
