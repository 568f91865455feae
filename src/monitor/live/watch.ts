/**
 * Looks at all links once a second, and hears of what happens, while somebody watches. Until it is made and after its end
 * nothing is heard, read or kept.
 */
import { realTime } from "../../real-time.ts";
import type { TelemetryRecord } from "../../telemetry/record.ts";
import type { NamedSource } from "../sources.ts";
import { Happenings } from "./happenings.ts";
import { type Entry, LinkBook } from "./link-book.ts";
import { type Frame, type Point, SHOWN_MS, type SourceFrame } from "./messages.ts";
import { sourceFrame } from "./source-frame.ts";
import { type Rates, ratesBetween, roundTrips, type Sums } from "./sums.ts";

export const EVERY_MS = 1_000;
/** All links are looked at in pieces, each of a turn of the event loop. */
const PIECE_MS = 2;
/** Between the end of one look at all links and the next, at least. */
const LEAST_PAUSE_MS = 250;

export interface WatchHost {
  /** Something has happened that is to be shown at once. */
  onHappened(): void;
  /** All links were looked at. */
  onPassed(): void;
}

interface Source extends NamedSource {
  book: LinkBook;
  sums: Sums | undefined;
  rates: Rates | undefined;
  lookedMs: number;
}

/** The parts of a frame that are the same for all viewers. */
export type Shared = Pick<Frame, "beganMs" | "pid" | "sources" | "points" | "happened">;

export class Watch {
  readonly #host: WatchHost;
  readonly #sources: Source[];
  readonly #leave: Array<() => void>;
  readonly #happenings = new Happenings();
  readonly #beganMs = Math.round(realTime.wallMs());
  #frames: Record<string, SourceFrame> = {};
  #points: Record<string, Point> = {};
  #pointNumbers: number[] = [];
  #keys = 0;
  #passes = 0;
  #timer: NodeJS.Timeout | undefined;
  #piece: NodeJS.Immediate | undefined;

  constructor(sources: readonly NamedSource[], host: WatchHost) {
    this.#host = host;
    this.#sources = sources.map((source, at) => ({
      ...source,
      book: new LinkBook(at, source.observed, () => ++this.#keys),
      sums: undefined,
      rates: undefined,
      lookedMs: 0,
    }));
    this.#leave = this.#sources.map(({ observed, book }, at) =>
      observed.telemetry.journal.subscribe((record) => this.#onRecord(record, book, at)),
    );
    this.#pass();
  }

  /** All links have been looked at once. */
  get isReady(): boolean {
    return this.#passes > 0;
  }

  stop(): void {
    for (const leave of this.#leave) leave();
    realTime.clearTimeout(this.#timer);
    realTime.clearImmediate(this.#piece);
  }

  get shared(): Shared {
    const { shown } = this.#happenings;
    return { beganMs: this.#beganMs, pid: process.pid, sources: this.#frames, points: this.#points, happened: shown };
  }

  /** Of all links, the oldest first. Those that have just ended are among them. */
  *entries(): Generator<Entry, void, void> {
    for (const { book } of this.#sources) {
      book.discover();
      yield* book.entries;
    }
  }

  #onRecord(record: TelemetryRecord, book: LinkBook, at: number): void {
    const nowMs = realTime.wallMs();
    if (record.event === "link.state") book.changed(record.ids.link, record.change, nowMs);
    else if (record.event === "link.recovered") book.recovered(record.ids.link, record.recoveryMs, nowMs);
    const isTold = this.#happenings.record(record, at, nowMs);
    if (isTold || record.event === "link.state" || record.event === "link.recovered") this.#host.onHappened();
  }

  #pass(): void {
    const beganMs = realTime.now();
    const pieces = this.#pieces();
    const go = (): void => {
      const untilMs = realTime.now() + PIECE_MS;
      do {
        if (pieces.next().done === true) {
          const nextMs = Math.max(LEAST_PAUSE_MS, EVERY_MS - (realTime.now() - beganMs));
          this.#timer = realTime.setTimeout(() => this.#pass(), nextMs).unref();
          return this.#passed();
        }
      } while (realTime.now() < untilMs);
      this.#piece = realTime.setImmediate(go).unref();
    };
    this.#piece = realTime.setImmediate(go).unref();
  }

  /** A step for each link. */
  *#pieces(): Generator<void, void, void> {
    for (const source of this.#sources) {
      const { sums: before, lookedMs } = source;
      source.lookedMs = realTime.now();
      source.sums = yield* source.book.pass();
      source.rates = before && ratesBetween(before, source.sums, source.lookedMs - lookedMs);
      yield;
    }
  }

  #passed(): void {
    const nowMs = realTime.wallMs();
    this.#passes++;
    this.#happenings.nextSecond(nowMs);
    this.#frames = Object.fromEntries(this.#sources.map((source, at) => [at, sourceFrame(source)]));
    // There are no rates before the second look.
    if (this.#passes > 1) this.#addPoint(Math.round(nowMs));
    this.#host.onPassed();
  }

  #addPoint(atMs: number): void {
    const sums = this.#sources.flatMap((source) => source.sums ?? []);
    const rates = this.#sources.flatMap((source) => source.rates ?? []);
    const total = <Of>(of: readonly Of[], read: (each: Of) => number): number =>
      of.reduce((sum, each) => sum + read(each), 0);
    const point: Point = [
      atMs,
      total(rates, ({ sentPerS }) => sentPerS),
      total(rates, ({ receivedPerS }) => receivedPerS),
      total(rates, ({ sentBytesPerS }) => sentBytesPerS),
      total(rates, ({ receivedBytesPerS }) => receivedBytesPerS),
      ...roundTrips(sums),
      total(sums, ({ connected }) => connected),
      total(sums, ({ away }) => away),
    ];
    this.#pointNumbers.push(this.#passes);
    const points: Record<string, Point> = { ...this.#points, [this.#passes]: point };
    if (this.#pointNumbers.length > SHOWN_MS / EVERY_MS) delete points[String(this.#pointNumbers.shift())];
    this.#points = points;
  }
}
