/**
 * Logs that share a pool of blocks, against the plainest log there is: an array of messages and all bytes ever. What a
 * connection was handed must stay as it was for as long as that connection may still have to write it.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import { BlockPool, PREFIX_BYTES } from "../../../src/core/log/blocks.ts";
import { Log } from "../../../src/core/log/log.ts";
import { runs } from "../../properties.ts";
import { ampleAccount } from "../support.ts";

interface View {
  view: Buffer;
  at: number;
  /** The how-manieth connection of its log was handed it. */
  connection: number;
}

/** What one log should be. */
class Model {
  bytes: Buffer = Buffer.alloc(0);
  start = 0;
  readonly messages: Array<{ start: number; end: number }> = [];
  counted = 0;
  connection = 0;
  views: View[] = [];

  get end(): number {
    return this.bytes.length;
  }

  begun(position: number): number {
    return this.messages.filter(({ start }) => start < position).length;
  }
}

interface Pair {
  log: Log;
  model: Model;
}
type World = { logs: Pair[] };
type Step = fc.Command<World, World>;

const LOGS = 2;

/** A step that is always possible: all logs are the real ones, and their models go along in the same place. */
class On implements Step {
  readonly #at: number;
  readonly #text: string;
  readonly #run: (pair: Pair) => void;

  constructor(at: number, text: string, run: (pair: Pair) => void) {
    this.#at = at;
    this.#text = text;
    this.#run = run;
  }

  check(): boolean {
    return true;
  }

  run(_: World, { logs }: World): void {
    this.#run(logs[this.#at] as Pair);
    for (const pair of logs) agree(pair);
  }

  toString(): string {
    return `log ${this.#at}: ${this.#text}`;
  }
}

const at = fc.nat({ max: LOGS - 1 });
/** Around the sizes of blocks, and enough of 64 KiB for blocks to come from the pool and to go back to it. */
const payloadBytes = fc.oneof(
  { weight: 2, arbitrary: fc.nat({ max: 40 }) },
  { weight: 1, arbitrary: fc.integer({ min: 2_040, max: 2_052 }) },
  { weight: 1, arbitrary: fc.integer({ min: 8_186, max: 8_200 }) },
  { weight: 6, arbitrary: fc.integer({ min: 33_000, max: 70_000 }) },
);

const append = fc.tuple(at, payloadBytes, fc.nat({ max: 4 }), fc.nat({ max: 255 })).map(
  ([log, bytes, lot, fill, given = lot === 0]) =>
    new On(log, `append ${bytes} bytes of ${fill}${given ? ", given away" : ""}`, (pair) => {
      const payload = Buffer.alloc(bytes, fill);
      const prefix = Buffer.alloc(PREFIX_BYTES);
      prefix.writeUInt32BE(bytes);
      const { model } = pair;
      model.messages.push({ start: model.end, end: model.end + PREFIX_BYTES + bytes });
      model.bytes = Buffer.concat([model.bytes, prefix, payload]);
      pair.log.append(payload, bytes, given);
      if (!given) payload.fill(0xee);
    }),
);
const read = fc.tuple(at, fc.nat(), fc.integer({ min: 1, max: 80_000 })).map(
  ([log, place, maxBytes]) =>
    new On(log, `hand out up to ${maxBytes} bytes`, ({ log: real, model }) => {
      if (real.start === real.end) return;
      const from = real.start + (place % (real.end - real.start));
      const view = real.read(from, maxBytes);
      expect(view.length).toBeGreaterThan(0);
      expect(view.length).toBeLessThanOrEqual(maxBytes);
      model.views.push({ view, at: from, connection: model.connection });
      const end = real.frameEnd(from, maxBytes);
      expect(end).toBeGreaterThan(from);
      expect(end).toBeLessThanOrEqual(from + maxBytes);
    }),
);
const release = fc.tuple(at, fc.oneof(fc.nat(), { weight: 2, arbitrary: fc.constant(-1) })).map(
  ([log, place]) =>
    new On(log, "accept", ({ log: real, model }) => {
      const ends = [model.start, ...model.messages.map(({ end }) => end).filter((end) => end > model.start)];
      const to = ends.at(place === -1 ? -1 : place % ends.length) as number;
      real.release(to);
      model.start = to;
    }),
);
/** The connection in use has written so much, which a peer need not have waited for to accept it. */
const written = fc.tuple(at, fc.oneof(fc.nat(), { weight: 2, arbitrary: fc.constant(-1) })).map(
  ([log, place]) =>
    new On(log, "written", ({ log: real, model }) => {
      const to = place === -1 ? real.end : place % (real.end + 1);
      model.views = model.views.filter((view) => view.connection < model.connection || view.at + view.view.length > to);
      real.recycle(to);
    }),
);
const share = at.map(
  (log) =>
    new On(log, "another connection goes on", ({ log: real, model }) => {
      real.share();
      model.connection++;
    }),
);
/** The oldest connection that had anything to write is gone for good. */
const close = at.map(
  (log) =>
    new On(log, "the oldest connection is gone", ({ model }) => {
      const oldest = Math.min(model.connection, ...model.views.map(({ connection }) => connection));
      if (oldest < model.connection) model.views = model.views.filter(({ connection }) => connection > oldest);
    }),
);
const count = fc.tuple(at, fc.nat()).map(
  ([log, place]) =>
    new On(log, "count", ({ log: real, model }) => {
      model.counted = Math.max(model.counted, model.start, place % (real.end + 1));
      expect(real.countTo(model.counted)).toBe(model.begun(model.counted));
      const next = model.messages.find(({ start }) => start >= model.counted)?.start ?? model.end;
      expect(real.messageFrom(model.counted)).toBe(next);
    }),
);

// A command is drawn from each alike: what is to come often stands here often.
const steps = [
  append,
  append,
  append,
  append,
  read,
  read,
  read,
  release,
  release,
  release,
  written,
  written,
  share,
  close,
  count,
];

function agree({ log, model }: Pair): void {
  expect([log.start, log.end]).toEqual([model.start, model.end]);
  for (let from = log.start; from < log.end;) {
    const piece = log.read(from, Infinity);
    expect(piece.equals(model.bytes.subarray(from, from + piece.length))).toBe(true);
    from += piece.length;
  }
  expect(log.releasedMessages()).toBe(model.begun(model.start));
  const kept = model.messages.filter(({ start }) => start >= model.start);
  expect(log.messages().map(({ start, end }) => ({ start, end }))).toEqual(kept);
  for (const { view, at: from } of model.views) {
    expect(view.equals(model.bytes.subarray(from, from + view.length))).toBe(true);
  }
}

/** It takes as long as its cases do, on a machine that does other work too. */
const SLOW = { timeout: 60_000 };

test(
  "logs that share their blocks stay what they are, and so does what any of their connections was handed",
  SLOW,
  () => {
    let pooled = 0;
    fc.assert(
      fc.property(fc.commands(steps, { maxCommands: 60, size: "max" }), (commands) => {
        const pool = new BlockPool();
        const give = pool.give.bind(pool);
        pool.give = (block) => {
          pooled++;
          give(block);
        };
        const world = {
          logs: Array.from({ length: LOGS }, () => ({
            log: new Log("messages", pool, ampleAccount()),
            model: new Model(),
          })),
        };
        fc.modelRun(() => ({ model: world, real: world }), commands);
      }),
      { numRuns: runs(200) },
    );
    // Else nothing was ever used again, and the views were safe for no reason.
    expect(pooled).toBeGreaterThan(20);
  },
);
