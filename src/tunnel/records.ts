/**
 * What the two ends of a tunnel say to each other on a link: records, each a type, the length of its content, and the
 * content. A link carries one TCP connection after another. For each:
 *
 *     near end   OPEN, DATA …, END                       END: the application has ended its direction
 *     far end    OPENED, DATA …, END, DONE               or REFUSED, and then DONE when the near end's END has come
 *
 * DATA may follow OPEN before the answer. DONE says that the far end has nothing left of the connection: the link is
 * free for the next. A connection that ends in any other way ends the link with it.
 */
import { readUint32, viewOf } from "../core/wire/bytes.ts";
import type { Ends } from "./proxy-header.ts";

export const RECORD = { open: 1, opened: 2, refused: 3, data: 4, end: 5, done: 6 } as const;

export type RecordType = (typeof RECORD)[keyof typeof RECORD];

/** A connection's target and origin, as OPEN names them. */
export interface OpenRecord {
  /** HOST:PORT, or unix:PATH. */
  readonly to: string;
  /** Who has connected to the near end, and where. Undefined: a Unix socket, which has no address. */
  readonly ends: Ends | undefined;
}

/** Why the far end did not connect to the target; for people to read. */
export interface RefusedRecord {
  readonly code: string;
  readonly message: string;
}

export const HEAD_BYTES = 4;
/** The most content of a record other than DATA. */
const MOST_CONTENT_BYTES = 4_096;
const MOST_DATA_BYTES = 0xff_ff_ff;

/** The peer broke the rules above. */
export class RecordError extends Error {
  override readonly name = "RecordError";
}

/** The head of a record whose content follows apart. */
function recordHead(type: RecordType, length: number): Buffer {
  const head = Buffer.allocUnsafe(HEAD_BYTES);
  head.writeUInt32BE(type * 0x1_00_00_00 + length);
  return head;
}

/** The head of DATA, as a number of 32 bits. */
export function dataHead(length: number): number {
  return RECORD.data * 0x1_00_00_00 + length;
}

const NOTHING = Buffer.alloc(0);

/** A whole record, with a copy of its content. */
export function record(type: RecordType, content: Uint8Array = NOTHING): Buffer {
  const whole = Buffer.allocUnsafe(HEAD_BYTES + content.length);
  whole.writeUInt32BE(type * 0x1_00_00_00 + content.length);
  whole.set(content, HEAD_BYTES);
  return whole;
}

/** A record with an object as its content. */
export function objectRecord(type: RecordType, content: OpenRecord | RefusedRecord): Buffer {
  return record(type, Buffer.from(JSON.stringify(content)));
}

export interface RecordHandler {
  /** A part of the content of DATA; `isFollowed`: more is here behind it. The promise says when there is room for more. */
  onData(part: Buffer, isFollowed: boolean): void | Promise<void>;
  /** Any other record, whole. */
  onRecord(type: RecordType, content: Buffer): void | Promise<void>;
}

/** Reads records from the bytes of a link, however those are split. */
export class RecordReader {
  readonly #handler: RecordHandler;
  /** The beginning of a head, or of the content of a record other than DATA. */
  #kept: Buffer = NOTHING;
  #type: RecordType | undefined;
  /** The content of the record that has still to come. */
  #left = 0;
  /** How many bytes the last step has used. */
  #used = 0;

  constructor(handler: RecordHandler) {
    this.#handler = handler;
  }

  /**
   * Takes the next bytes. A promise that the handler answers is awaited before anything behind it is read. Throws, or
   * rejects with, RecordError.
   */
  push(chunk: Buffer): void | Promise<void> {
    // Small pieces mostly come as whole records.
    const isBetween = this.#type === undefined && this.#kept === NOTHING;
    if (isBetween && chunk.length > HEAD_BYTES && readUint32(chunk, 0) === dataHead(chunk.length - HEAD_BYTES)) {
      return this.#handler.onData(viewOf(chunk, HEAD_BYTES), false);
    }
    for (let at = 0; at < chunk.length;) {
      const waiting = this.#type === RECORD.data ? this.#data(chunk, at) : this.#other(chunk, at);
      at += this.#used;
      if (waiting !== undefined) {
        const behind = chunk.subarray(at);
        return waiting.then(() => this.push(behind));
      }
    }
    return undefined;
  }

  #data(chunk: Buffer, at: number): Promise<void> | undefined {
    const used = Math.min(this.#left, chunk.length - at);
    this.#used = used;
    this.#left -= used;
    if (this.#left === 0) this.#type = undefined;
    return this.#handler.onData(chunk.subarray(at, at + used), at + used < chunk.length) ?? undefined;
  }

  /** A head, or the content of a record other than DATA: small, and handled when it is whole. */
  #other(chunk: Buffer, at: number): Promise<void> | undefined {
    if (this.#type === undefined && this.#kept === NOTHING && at + HEAD_BYTES <= chunk.length) {
      this.#used = HEAD_BYTES;
      return this.#begin(chunk, at);
    }
    const wanted = this.#type === undefined ? HEAD_BYTES : this.#left;
    const used = Math.min(wanted - this.#kept.length, chunk.length - at);
    this.#used = used;
    const part = chunk.subarray(at, at + used);
    const whole = this.#kept.length === 0 ? part : Buffer.concat([this.#kept, part]);
    if (whole.length < wanted) {
      // A copy: the bytes are a view of the link's memory.
      this.#kept = Buffer.from(whole);
      return undefined;
    }
    this.#kept = NOTHING;
    if (this.#type === undefined) return this.#begin(whole, 0);
    const type = this.#type;
    this.#type = undefined;
    return this.#handler.onRecord(type, whole) ?? undefined;
  }

  #begin(bytes: Buffer, at: number): Promise<void> | undefined {
    const type = checkedType(bytes[at] as number);
    const length = readUint32(bytes, at) % 0x1_00_00_00;
    const isData = type === RECORD.data;
    if (isData ? length === 0 : length > MOST_CONTENT_BYTES) {
      throw new RecordError(`a record of type ${type} with ${length} bytes`);
    }
    if (length === 0) return this.#handler.onRecord(type, NOTHING) ?? undefined;
    this.#type = type;
    this.#left = length;
    return undefined;
  }
}

function checkedType(type: number): RecordType {
  if (type < RECORD.open || type > RECORD.done) throw new RecordError(`a record of the unknown type ${type}`);
  return type as RecordType;
}

/** A chunk of the connection as a record in two buffers, the second of which is the chunk itself. */
export function dataRecord(chunk: Buffer): readonly Buffer[] {
  if (chunk.length > MOST_DATA_BYTES) throw new RangeError(`a chunk of ${chunk.length} bytes`);
  return [recordHead(RECORD.data, chunk.length), chunk];
}

/** Throws RecordError. */
export function readOpen(content: Buffer): OpenRecord {
  const { to, ends } = readObject(content);
  if (typeof to !== "string") throw new RecordError("OPEN without a target");
  if (ends === undefined) return { to, ends: undefined };
  const { source, destination } = (ends ?? {}) as Record<string, unknown>;
  return { to, ends: { source: readEnd(source), destination: readEnd(destination) } };
}

function readEnd(given: unknown): Ends["source"] {
  const { address, port } = (given ?? {}) as Record<string, unknown>;
  if (typeof address !== "string" || typeof port !== "number") throw new RecordError("OPEN with wrong addresses");
  return { address, port };
}

/** Throws RecordError. */
export function readRefused(content: Buffer): RefusedRecord {
  const { code, message } = readObject(content);
  if (typeof code !== "string" || typeof message !== "string") throw new RecordError("REFUSED without a reason");
  return { code, message };
}

function readObject(content: Buffer): Record<string, unknown> {
  try {
    const object: unknown = JSON.parse(content.toString());
    if (typeof object === "object" && object !== null) return object as Record<string, unknown>;
  } catch {
    // It is no JSON.
  }
  throw new RecordError("a record whose content is no object");
}
