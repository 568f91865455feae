/**
 * The queue and the log of one direction, against a list of messages: what waits, what is written, what is reported. The
 * peer accepts, gives credit and comes back on new connections as it likes, as far as the protocol lets it.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { BlockPool, PREFIX_BYTES } from "../../../src/core/log/blocks.ts";
import { DATA_END_FINAL, DATA_END_MOVED, MAX_DATA_BYTES } from "../../../src/core/wire/frames.ts";
import { Sender } from "../../../src/core/log/sender.ts";
import { Flight, RoundTrip } from "../../../src/core/log/window.ts";
import { runs } from "../../properties.ts";
import { ampleAccount, decodedData } from "../support.ts";

interface Message {
  start: number;
  end: number;
  payload: Buffer;
}

const MOST_WRITTEN_BYTES = 20_000;

class Direction {
  readonly sender: Sender = new Sender("messages", new BlockPool(), ampleAccount(), MOST_WRITTEN_BYTES);
  flight: Flight = new Flight(new RoundTrip());
  readonly messages: Message[] = [];
  bytes: Buffer = Buffer.alloc(0);
  acked = 0;
  /** The most ever written, the end of the direction included. */
  highest = 0;
  limit = 0;
  endAt = Infinity;
  endFlag = 0;

  /** Of message bytes. */
  get written(): number {
    return Math.min(this.highest, this.endAt);
  }

  /** A legal statement of the peer's, between what it has accepted and what was ever written. */
  between(place: number): number {
    return this.acked + (place % (this.highest - this.acked + 1));
  }

  accepted(position: number): void {
    this.acked = Math.max(this.acked, position);
    this.sender.peerReceived = Math.max(this.sender.peerReceived, position);
    this.sender.onAccepted(position);
  }
}

type Step = fc.Command<Direction, Direction>;

/** The model goes along in the same place. */
class Do implements Step {
  readonly #text: string;
  readonly #run: (direction: Direction) => void;

  constructor(text: string, run: (direction: Direction) => void) {
    this.#text = text;
    this.#run = run;
  }

  check(): boolean {
    return true;
  }

  run(_: Direction, direction: Direction): void {
    this.#run(direction);
    agree(direction);
  }

  toString(): string {
    return this.#text;
  }
}

const take = fc.oneof(fc.nat({ max: 60 }), fc.nat({ max: 9_000 })).map(
  (bytes) =>
    new Do(`take ${bytes} bytes`, (direction) => {
      if (direction.sender.ended) return;
      const payload = Buffer.alloc(bytes, direction.messages.length);
      const prefix = Buffer.alloc(PREFIX_BYTES);
      prefix.writeUInt32BE(bytes);
      const start = direction.bytes.length;
      direction.bytes = Buffer.concat([direction.bytes, prefix, payload]);
      direction.messages.push({ start, end: direction.bytes.length, payload });
      direction.sender.take(payload, bytes, false);
    }),
);
const write = fc.integer({ min: 1, max: 12_000 }).map(
  (maxBytes) =>
    new Do(`write up to ${maxBytes} bytes`, (direction) => {
      const { sender, flight } = direction;
      const from = sender.sentNow;
      const out: Buffer[] = [];
      const something = sender.hasSomethingToWrite(flight);
      const count = sender.write(out, maxBytes, flight, 0);
      expect(count > 0).toBe(something);
      let at = from;
      for (const { offset, bytes, flags } of decodedData(out)) {
        expect(offset).toBe(at);
        expect(bytes.length).toBeLessThanOrEqual(MAX_DATA_BYTES);
        expect(bytes.equals(direction.bytes.subarray(at, at + bytes.length))).toBe(true);
        at += bytes.length;
        const end = flags & (DATA_END_FINAL | DATA_END_MOVED);
        expect(end).toBe(at === direction.endAt ? direction.endFlag : 0);
        if (end !== 0) at++;
      }
      expect([count, sender.sentNow]).toEqual([at - from, at]);
      const bytesTo = Math.min(at, direction.endAt);
      if (bytesTo > from) {
        expect(bytesTo).toBeLessThanOrEqual(direction.limit);
        expect(bytesTo).toBeLessThanOrEqual(sender.peerReceived + flight.limitBytes);
        expect(bytesTo).toBeLessThanOrEqual(sender.log.start + MOST_WRITTEN_BYTES);
        expect(bytesTo - from).toBeLessThanOrEqual(maxBytes);
      }
      direction.highest = Math.max(direction.highest, at);
    }),
);
const accept = fc.nat().map((place) => new Do("accept", (direction) => direction.accepted(direction.between(place))));
const credit = fc.nat({ max: 30_000 }).map(
  (window) =>
    new Do(`credit of ${window} bytes`, (direction) => {
      direction.limit = Math.max(direction.limit, direction.acked + window);
      direction.sender.limit = direction.limit;
    }),
);
const reconnect = fc.tuple(fc.nat(), fc.nat({ max: 30_000 })).map(
  ([place, window]) =>
    new Do(`a new connection, with a credit of ${window} bytes`, (direction) => {
      direction.flight = new Flight(new RoundTrip());
      direction.limit = direction.acked + window;
      direction.sender.restart(direction.between(place), direction.limit);
    }),
);
const finish = fc.boolean().map(
  (moves) =>
    new Do(moves ? "move on" : "end", (direction) => {
      const { sender, messages } = direction;
      if (sender.endKind === "none") {
        const unwritten = messages.find(({ start }) => start >= direction.highest);
        direction.endAt = moves ? (unwritten?.start ?? sender.log.end) : sender.log.end;
        direction.endFlag = moves ? DATA_END_MOVED : DATA_END_FINAL;
      }
      if (moves) sender.moveOn();
      else sender.end("final");
    }),
);

function agree({ sender, messages, acked, written, highest, endAt }: Direction): void {
  const waiting = messages.filter(({ start }) => start >= written);
  expect(sender.queuedMessages).toBe(waiting.length);
  expect(sender.queuedBytes).toBe(sender.log.end - written);
  expect([sender.acked, sender.highestSent, sender.endAt]).toEqual([acked, highest, endAt]);
  const left = messages.filter(({ start }) => start >= Math.min(acked, endAt));
  // A piece of the first one may have been accepted: nobody can say what became of the rest.
  expect(sender.undelivered()).toEqual(
    left.map(({ start, end, payload }) => ({
      message: payload,
      delivery: start < written ? "maybe" : "not-sent",
      position: start < written ? end : undefined,
      end,
    })),
  );
}

// A command is drawn from each alike: what is to come often stands here often.
const steps = [take, take, take, write, write, write, write, accept, accept, credit, credit, reconnect, finish];

test("whatever the peer accepts, credits and resumes, what waits, what is written and what is reported is right", () => {
  let ended = 0;
  fc.assert(
    fc.property(fc.commands(steps, { maxCommands: 60, size: "max" }), (commands) => {
      const direction = new Direction();
      fc.modelRun(() => ({ model: direction, real: direction }), commands);
      if (direction.highest > direction.endAt) ended++;
    }),
    { numRuns: runs(150) },
  );
  expect(ended).toBeGreaterThan(20);
});
