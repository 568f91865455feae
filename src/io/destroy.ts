/** How a stream is given up: quietly, or so that its peer takes a part for no whole. */
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";

/** The property with the function of `whenDestroyed()`. */
const WHEN_DESTROYED: unique symbol = Symbol("whenDestroyed");

/** Destroys a stream, which the application may have made. */
export function destroy(stream: Duplex & { [WHEN_DESTROYED]?: (this: Duplex) => void }): void {
  try {
    stream.destroy();
  } catch {
    // The stream is given up, even if its destroy() throws.
  }
  stream[WHEN_DESTROYED]?.();
}

/**
 * Destroys a stream whose peer might take what it has received for the whole: one of TCP is reset, where an end would say
 * that all was sent.
 */
export function cutOff(stream: Duplex): void {
  if (stream instanceof Socket && !(stream instanceof TLSSocket) && stream.remoteAddress !== undefined) {
    stream.resetAndDestroy();
  }
  destroy(stream);
}

/** `run` is called when the stream is destroyed here: a stream that the application made may never emit 'close'. */
export function whenDestroyed(stream: Duplex, run: (this: Duplex) => void): void {
  Object.assign(stream, { [WHEN_DESTROYED]: run });
}
