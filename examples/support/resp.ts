/** Redis's protocol, RESP3: how commands are written, where replies end, and what they say. */
import type { Deliver, FrameDecoder, Framing } from "resplice";

/** Of a server's error, `code` is the first word: "WRONGTYPE", "NOAUTH", "ERR". */
export class RedisError extends Error {
  readonly code: string;

  constructor(text: string) {
    super(text);
    this.name = "RedisError";
    this.code = text.split(" ", 1)[0] ?? "";
  }
}

/** Strings are decoded as UTF-8. An error within a transaction's reply is a value like others. */
export type Reply = string | number | bigint | boolean | null | RedisError | Reply[] | Map<Reply, Reply>;

/** A command is an array of strings. */
export function command(args: readonly string[]): string {
  let text = `*${args.length}\r\n`;
  for (const arg of args) text += `$${Buffer.byteLength(arg)}\r\n${arg}\r\n`;
  return text;
}

/** A message that is sent is a command, and one that arrives is one whole reply. */
export const resp: Framing = {
  name: "resp",
  encode: (message) => message,
  decoder: ({ maxMessageBytes }) => new RespDecoder(maxMessageBytes),
};

const LINE_FEED = 0x0a;

/**
 * Finds where each reply ends. A reply is a line such as "+OK"; or "$5", and five bytes behind it; or "*2", and two
 * replies behind it, which may be lists themselves. Every byte is looked at once, and long strings are skipped.
 */
class RespDecoder implements FrameDecoder {
  readonly #maxMessageBytes: number;
  /** The chunks of a reply that is not complete, and their bytes. */
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** The beginning of a line whose end has not come. */
  #line = "";
  /** So many bytes of a string are missing, with the line end behind it. */
  #missingBytes = 0;
  /** So many values are missing until the reply is complete. */
  #missingValues = 1;

  constructor(maxMessageBytes: number) {
    this.#maxMessageBytes = maxMessageBytes;
  }

  decode(chunk: Buffer, deliver: Deliver): void {
    let begin = 0;
    let at = 0;
    while (at < chunk.length) {
      if (this.#missingBytes > 0) {
        const bytes = Math.min(this.#missingBytes, chunk.length - at);
        this.#missingBytes -= bytes;
        at += bytes;
      } else {
        at = this.#readLine(chunk, at);
      }
      if (this.#bytes + at - begin + this.#missingBytes > this.#maxMessageBytes) throw new Error("a reply too large");
      if (this.#missingBytes > 0 || this.#missingValues > 0) continue;
      const last = chunk.subarray(begin, at);
      deliver(this.#chunks.length === 0 ? last : Buffer.concat([...this.#chunks, last]));
      this.#chunks = [];
      this.#bytes = 0;
      this.#missingValues = 1;
      begin = at;
    }
    if (begin === chunk.length) return;
    this.#chunks.push(chunk.subarray(begin));
    this.#bytes += chunk.length - begin;
  }

  /** Answers where the next line begins, or the end of the chunk. */
  #readLine(chunk: Buffer, at: number): number {
    const end = chunk.indexOf(LINE_FEED, at);
    this.#line += chunk.toString("latin1", at, end === -1 ? chunk.length : end);
    if (end === -1) return chunk.length;
    const type = this.#line.charAt(0);
    const rest = this.#line.slice(1, -1);
    this.#line = "";
    this.#missingValues -= 1;
    if ("$=!".includes(type)) {
      const length = countOf(rest);
      if (length >= 0) this.#missingBytes = length + "\r\n".length;
    } else if ("*~>".includes(type)) {
      this.#missingValues += Math.max(0, countOf(rest));
    } else if (type === "%") {
      this.#missingValues += 2 * Math.max(0, countOf(rest));
    } else if (type === "|") {
      // Attributes stand in front of the value that they are about.
      this.#missingValues += 2 * Math.max(0, countOf(rest)) + 1;
    } else if (!"+-:_#,(".includes(type)) {
      throw new Error(`a reply of an unknown type: ${JSON.stringify(type)}`);
    }
    return end + 1;
  }

  end(): void {
    if (this.#bytes > 0) throw new Error("the server has ended within a reply");
  }
}

/** Of bytes or of values; -1 stands for null. */
function countOf(text: string): number {
  const number = Number(text);
  if (text === "" || !Number.isSafeInteger(number) || number < -1)
    throw new Error(`${JSON.stringify(text)} is no count`);
  return number;
}

/** The value of a whole reply. */
export function parse(message: Buffer): Reply {
  return new Parser(message).value();
}

class Parser {
  readonly #message: Buffer;
  #at = 0;

  constructor(message: Buffer) {
    this.#message = message;
  }

  value(): Reply {
    const line = this.#line();
    const text = line.slice(1);
    switch (line[0]) {
      case "+":
        return text;
      case "-":
        return new RedisError(text);
      case ":": {
        const number = Number(text);
        return Number.isSafeInteger(number) ? number : BigInt(text);
      }
      case "$":
        return text === "-1" ? null : this.#string(Number(text));
      case "=":
        return this.#string(Number(text)).slice("txt:".length);
      case "!":
        return new RedisError(this.#string(Number(text)));
      case "*":
      case "~":
      case ">":
        return text === "-1" ? null : this.#values(Number(text));
      case "%":
        return this.#map(Number(text));
      case "|":
        this.#map(Number(text));
        return this.value();
      case "#":
        return text === "t";
      case ",":
        return Number(text.replace("inf", "Infinity"));
      case "(":
        return BigInt(text);
      default:
        return null;
    }
  }

  #values(count: number): Reply[] {
    const values: Reply[] = [];
    for (let i = 0; i < count; i++) values.push(this.value());
    return values;
  }

  #map(count: number): Map<Reply, Reply> {
    const map = new Map<Reply, Reply>();
    for (let i = 0; i < count; i++) map.set(this.value(), this.value());
    return map;
  }

  #line(): string {
    const begin = this.#at;
    const end = this.#message.indexOf(LINE_FEED, begin);
    this.#at = end + 1;
    return this.#message.toString("utf8", begin, end - 1);
  }

  #string(bytes: number): string {
    const begin = this.#at;
    this.#at += bytes + "\r\n".length;
    return this.#message.toString("utf8", begin, begin + bytes);
  }
}
