/** Which streams of the application's can be connections. */
import type { Duplex } from "node:stream";
import { CONNECTION, ignoreError } from "./connection.ts";
import { destroy } from "./destroy.ts";

/** Why this stream cannot be a connection; undefined if it can. A Duplex of another package or realm can, too. */
export function unfitness(stream: unknown): string | undefined {
  if (!isStream(stream)) return "no stream.Duplex";
  if (CONNECTION in stream) return "a stream that is a connection of a link already";
  const { readable, writable, destroyed, connecting } = stream as Duplex & { connecting?: boolean };
  // A socket that is still connecting is not readable yet.
  if (destroyed || !writable || (!readable && connecting !== true)) return "a stream that has ended, or was closed";
  if (stream.readableObjectMode || stream.writableObjectMode) return "a stream of objects, not of bytes";
  if (typeof stream.readableEncoding === "string") return "a stream that setEncoding() has made one of text";
  // A stream with such a listener does not flow.
  if (stream.listenerCount("readable") > 0) return "a stream that has a listener for 'readable' still";
  return undefined;
}

const METHODS = ["on", "once", "listenerCount", "write", "end", "destroy", "resume", "cork", "uncork"] as const;

function isStream(given: unknown): given is Duplex {
  if (typeof given !== "object" || given === null) return false;
  const stream = given as Record<string, unknown>;
  return METHODS.every((name) => typeof stream[name] === "function") && typeof stream["writableLength"] === "number";
}

/** Destroys a stream that cannot be used, unless it is no stream, or is in use elsewhere. */
export function discard(stream: unknown): void {
  if (!isStream(stream) || CONNECTION in stream) return;
  stream.on("error", ignoreError);
  destroy(stream);
}
